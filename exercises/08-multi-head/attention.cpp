#include "exercises/08-multi-head/attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::mine {
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
  throw NotImplemented("08.head_offsets");
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
  throw NotImplemented("08.multihead_attention_forward");
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
  throw NotImplemented("08.multihead_attention_backward");
  // end of your code
}

std::int64_t attention_scratch_size(int /*B*/, int T, int /*NH*/, int /*NKV*/, int /*HS*/) {
  return T;
}

}  // namespace tinygpt::mine
