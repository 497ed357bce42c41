#include "solutions/08-multi-head/attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::ref {
namespace {

float dot(const float* a, const float* b, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// y += factor * x
void add_scaled(float* y, float factor, const float* x, int n) {
  for (int i = 0; i < n; ++i) y[i] += factor * x[i];
}

// Where the query, key and value of query head h lie in a row of qkv: NH queries, then NKV keys,
// then NKV values; NH / NKV neighbouring query heads share a key and a value.
struct HeadOffsets {
  HeadOffsets(int h, int NH, int NKV, int HS) {
    const int group = h / (NH / NKV);
    q = h * HS;
    k = (NH + group) * HS;
    v = (NH + NKV + group) * HS;
  }
  int q, k, v;
};

}  // namespace

// s[t, u] = (q[t] . k[u]) / sqrt(HS),  p = softmax over u of s,  out[t] = sum_u p[t, u] * v[u]
void multihead_attention_forward(float* out, float* lse, const float* qkv, float* scratch, int B,
                                 int T, int NH, int NKV, int HS, bool causal) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;  // from one token's row to the next
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  float* scores = scratch;  // one row: the scores of one query with every key
  for (int b = 0; b < B; ++b) {
    const float* qkv_b = qkv + std::int64_t{b} * T * stride;
    for (int h = 0; h < NH; ++h) {
      const HeadOffsets at(h, NH, NKV, HS);
      for (int t = 0; t < T; ++t) {
        const float* q_t = qkv_b + t * stride + at.q;
        // A causal query sees itself and what came before: keys 0 .. t.
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
}

// Differentiates, from the last line to the first:
//   out[t]  = sum_u p[t, u] * v[u]         ->  dv[u] += p * dout[t],  dp[t, u] = dout[t] . v[u]
//   p[t]    = softmax(s[t])                ->  ds[t, u] = p * (dp - sum_w p[t, w] * dp[t, w])
//   s[t, u] = (q[t] . k[u]) / sqrt(HS)     ->  dq[t] += ds * k[u] / sqrt(HS),
//                                              dk[u] += ds * q[t] / sqrt(HS)
// The sum over w is dout[t] . out[t], so one pass over the keys is enough; and p was not kept: it
// is exp(s - lse), made again from the saved lse.
void multihead_attention_backward(float* dqkv, const float* dout, const float* out,
                                  const float* lse, const float* qkv, float* /*scratch*/, int B,
                                  int T, int NH, int NKV, int HS, bool causal) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  for (int b = 0; b < B; ++b) {
    const float* qkv_b = qkv + std::int64_t{b} * T * stride;
    float* dqkv_b = dqkv + std::int64_t{b} * T * stride;
    for (int h = 0; h < NH; ++h) {
      const HeadOffsets at(h, NH, NKV, HS);
      for (int t = 0; t < T; ++t) {
        const std::int64_t row = (std::int64_t{b} * T + t) * NH * HS + h * HS;
        const float* q_t = qkv_b + t * stride + at.q;
        const float* dout_t = dout + row;
        float* dq_t = dqkv_b + t * stride + at.q;
        const float lse_t = lse[(std::int64_t{b} * NH + h) * T + t];
        const float delta = dot(dout_t, out + row, HS);
        const int keys = causal ? t + 1 : T;
        for (int u = 0; u < keys; ++u) {
          const float* k_u = qkv_b + u * stride + at.k;
          const float* v_u = qkv_b + u * stride + at.v;
          const float p = std::exp(scale * dot(q_t, k_u, HS) - lse_t);
          add_scaled(dqkv_b + u * stride + at.v, p, dout_t, HS);
          const float ds = p * (dot(dout_t, v_u, HS) - delta);
          add_scaled(dq_t, ds * scale, k_u, HS);
          add_scaled(dqkv_b + u * stride + at.k, ds * scale, q_t, HS);
        }
      }
    }
  }
}

std::int64_t attention_scratch_size(int /*B*/, int T, int /*NH*/, int /*NKV*/, int /*HS*/) {
  return T;
}

}  // namespace tinygpt::ref
