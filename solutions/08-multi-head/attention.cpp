#include "solutions/08-multi-head/attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::ref {
namespace {

// a . b
float dot(const float* a, const float* b, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// y += factor * x
void add_scaled(float* y, float factor, const float* x, int n) {
  for (int i = 0; i < n; ++i) y[i] += factor * x[i];
}

}  // namespace

// A row of qkv: NH queries, then NKV keys, then NKV values, HS numbers each. NH / NKV neighbouring
// query heads share a key and a value.
HeadOffsets head_offsets(int h, int NH, int NKV, int HS) {
  // your code: 08.head_offsets
  const int group = h / (NH / NKV);
  return {h * HS, (NH + group) * HS, (NH + NKV + group) * HS};
  // end of your code
}

// For every sequence b and every head h:
//
//   s[t, u] = (q[t] . k[u]) / sqrt(HS)    u = 0 .. t if causal, else 0 .. T-1
//   p[t, u] = exp(s[t, u] - lse[t]),      lse[t] = log sum_u exp(s[t, u])
//   out[t]  = sum_u p[t, u] * v[u]
//
// out [B, T, NH * HS]              written; head h has numbers h * HS .. h * HS + HS - 1
// lse [B, NH, T]                   written; backward makes p of it
// qkv [B, T, (NH + 2 NKV) * HS]    head_offsets says where in a row a head's q, k and v begin
// scratch [T]                      room for the scores of one query
void multihead_attention_forward(float* out, float* lse, const float* qkv, float* scratch, int B,
                                 int T, int NH, int NKV, int HS, bool causal) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;  // from one token's row to the next
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  float* scores = scratch;
  // your code: 08.multihead_attention_forward
  for (int b = 0; b < B; ++b) {
    const float* qkv_b = qkv + std::int64_t{b} * T * stride;
    for (int h = 0; h < NH; ++h) {
      const HeadOffsets at = head_offsets(h, NH, NKV, HS);
      for (int t = 0; t < T; ++t) {
        const float* q_t = qkv_b + t * stride + at.q;
        const int keys = causal ? t + 1 : T;
        for (int u = 0; u < keys; ++u) {
          scores[u] = scale * dot(q_t, qkv_b + u * stride + at.k, HS);
        }
        const float largest = *std::max_element(scores, scores + keys);
        float sum = 0.0f;
        for (int u = 0; u < keys; ++u) {
          scores[u] = std::exp(scores[u] - largest);
          sum += scores[u];
        }
        float* out_t = out + (std::int64_t{b} * T + t) * NH * HS + h * HS;
        std::fill_n(out_t, HS, 0.0f);
        for (int u = 0; u < keys; ++u) {
          add_scaled(out_t, scores[u] / sum, qkv_b + u * stride + at.v, HS);
        }
        lse[(std::int64_t{b} * NH + h) * T + t] = largest + std::log(sum);
      }
    }
  }
  // end of your code
}

// Differentiates, from the last line to the first:
//
//   out[t]  = sum_u p[t, u] * v[u]         ->  dv[u] += p * dout[t],  dp[t, u] = dout[t] . v[u]
//   p[t]    = softmax(s[t])                ->  ds[t, u] = p * (dp - sum_w p[t, w] * dp[t, w])
//   s[t, u] = (q[t] . k[u]) / sqrt(HS)     ->  dq[t] += ds * k[u] / sqrt(HS),
//                                              dk[u] += ds * q[t] / sqrt(HS)
//
// The sum over w is delta[t] = dout[t] . out[t], so one pass over the keys is enough; and p was not
// kept: it is exp(s - lse), made again from the saved lse.
//
// dqkv [B, T, (NH + 2 NKV) * HS]   accumulates; the heads of a group add to the same dk and dv
// dout, out [B, T, NH * HS], lse [B, NH, T], qkv as in the forward pass
void multihead_attention_backward(float* dqkv, const float* dout, const float* out,
                                  const float* lse, const float* qkv, float* /*scratch*/, int B,
                                  int T, int NH, int NKV, int HS, bool causal) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  // your code: 08.multihead_attention_backward
  for (int b = 0; b < B; ++b) {
    const float* qkv_b = qkv + std::int64_t{b} * T * stride;
    float* dqkv_b = dqkv + std::int64_t{b} * T * stride;
    for (int h = 0; h < NH; ++h) {
      const HeadOffsets at = head_offsets(h, NH, NKV, HS);
      for (int t = 0; t < T; ++t) {
        const std::int64_t row = (std::int64_t{b} * T + t) * NH * HS + h * HS;
        const float* q_t = qkv_b + t * stride + at.q;
        const float* dout_t = dout + row;
        const float lse_t = lse[(std::int64_t{b} * NH + h) * T + t];
        const float delta = dot(dout_t, out + row, HS);
        const int keys = causal ? t + 1 : T;
        for (int u = 0; u < keys; ++u) {
          const float* k_u = qkv_b + u * stride + at.k;
          const float* v_u = qkv_b + u * stride + at.v;
          const float p = std::exp(scale * dot(q_t, k_u, HS) - lse_t);
          const float dp = dot(dout_t, v_u, HS);
          const float ds = p * (dp - delta);
          add_scaled(dqkv_b + u * stride + at.v, p, dout_t, HS);
          add_scaled(dqkv_b + t * stride + at.q, ds * scale, k_u, HS);
          add_scaled(dqkv_b + u * stride + at.k, ds * scale, q_t, HS);
        }
      }
    }
  }
  // end of your code
}

std::int64_t attention_scratch_size(int /*B*/, int T, int /*NH*/, int /*NKV*/, int /*HS*/) {
  return T;
}

}  // namespace tinygpt::ref
