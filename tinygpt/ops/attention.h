// Scaled dot-product attention over several heads, causal or bidirectional, with grouped queries.
// Vaswani et al.: "Attention Is All You Need" (2017), equation 1 and section 3.2.2.
// Ainslie et al.: "GQA" (2023): NKV key-value heads serve NH query heads, NH / NKV each.
//
//   s[t, u]   = (q[t] . k[u]) / sqrt(HS)          u <= t if causal, else every u < T
//   p[t, u]   = exp(s[t, u] - lse[t])             lse[t] = log sum_u exp(s[t, u])
//   out[t, d] = sum_u p[t, u] * v[u, d]
//
// for every sequence b and every query head h, with key-value head h / (NH / NKV).
//
// Layout of a row of qkv, as one linear layer leaves it: NH query heads, then NKV key heads, then
// NKV value heads, HS values each:
//   q[b, t, h, d] = qkv[b, t, (h)             * HS + d]
//   k[b, t, g, d] = qkv[b, t, (NH + g)        * HS + d]
//   v[b, t, g, d] = qkv[b, t, (NH + NKV + g)  * HS + d]
#pragma once

#include <cstdint>

namespace tinygpt {

// out     [B, T, NH * HS]  written; heads side by side
// lse     [B, NH, T]       written, saved for the backward pass, which makes the probabilities anew
//                          from it: p = exp(s - lse). The T x T matrix is never saved.
// qkv     [B, T, (NH + 2 NKV) * HS]
// scratch                  attention_scratch_size(...) floats
// NH is a multiple of NKV. No buffer may overlap another.
template <class Real>
using AttentionForward = void(Real* out, float* lse, const Real* qkv, float* scratch, int B, int T,
                              int NH, int NKV, int HS, bool causal);

// With delta[t] = sum_d dout[t, d] * out[t, d]  (which is sum_u p[t, u] * dp[t, u]):
//   dv[u]    += sum_t p[t, u] * dout[t]
//   dp[t, u]  = dout[t] . v[u]
//   ds[t, u]  = p[t, u] * (dp[t, u] - delta[t])
//   dq[t]    += sum_u ds[t, u] * k[u] / sqrt(HS)
//   dk[u]    += sum_t ds[t, u] * q[t] / sqrt(HS)
//
// dqkv    [B, T, (NH + 2 NKV) * HS]  accumulates; a key-value head gathers from its NH / NKV query
//                                    heads
// scratch                            attention_scratch_size(...) floats
template <class Real>
using AttentionBackward = void(Real* dqkv, const Real* dout, const Real* out, const float* lse,
                               const Real* qkv, float* scratch, int B, int T, int NH, int NKV,
                               int HS, bool causal);

// Floats of lse.
inline std::int64_t attention_lse_size(int B, int T, int NH) { return std::int64_t{B} * NH * T; }

// Floats of scratch that forward and backward may use.
using AttentionScratchSize = std::int64_t(int B, int T, int NH, int NKV, int HS);

}  // namespace tinygpt
