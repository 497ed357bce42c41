#include "solutions/07-self-attention/self_attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::ref {

// out[t, c] = sum_u weights[t, u] * x[u, c]
//
// out [T, C]: written. weights [T, T]: any numbers; row t belongs to row t of out. x [T, C].
void weighted_sum(float* out, const float* weights, const float* x, int T, int C) {
  // your code: 07.weighted_sum
  for (int t = 0; t < T; ++t) {
    float* out_t = out + std::int64_t{t} * C;
    std::fill_n(out_t, C, 0.0f);
    for (int u = 0; u < T; ++u) {
      const float weight = weights[std::int64_t{t} * T + u];
      const float* x_u = x + std::int64_t{u} * C;
      for (int c = 0; c < C; ++c) out_t[c] += weight * x_u[c];
    }
  }
  // end of your code
}

// scores[t, u] = (q[t] . k[u]) / sqrt(HS)
//
// scores [T, T]: written; a row for each query, a column for each key. q, k [T, HS].
void attention_scores(float* scores, const float* q, const float* k, int T, int HS) {
  // your code: 07.attention_scores
  // A dot product of HS numbers of size 1 has a size of about sqrt(HS). Without the division the
  // softmax of a wide head would give all to one key.
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  for (int t = 0; t < T; ++t) {
    const float* q_t = q + std::int64_t{t} * HS;
    for (int u = 0; u < T; ++u) {
      const float* k_u = k + std::int64_t{u} * HS;
      float sum = 0.0f;
      for (int d = 0; d < HS; ++d) sum += q_t[d] * k_u[d];
      scores[std::int64_t{t} * T + u] = scale * sum;
    }
  }
  // end of your code
}

// scores    = as attention_scores makes them
// p[t, u]   = exp(scores[t, u]) / sum_w exp(scores[t, w])
// out[t, d] = sum_u p[t, u] * v[u, d]
//
// out [T, HS], scores [T, T], p [T, T]: written, each of them. q, k, v [T, HS]: any size of value.
// The two functions above are yours to call.
void attention_forward(float* out, float* scores, float* p, const float* q, const float* k,
                       const float* v, int T, int HS) {
  // your code: 07.attention_forward
  attention_scores(scores, q, k, T, HS);
  for (int t = 0; t < T; ++t) {
    const float* s_t = scores + std::int64_t{t} * T;
    float* p_t = p + std::int64_t{t} * T;
    const float largest = *std::max_element(s_t, s_t + T);  // of this row, lest exp overflow
    double sum = 0.0;
    for (int u = 0; u < T; ++u) {
      p_t[u] = std::exp(s_t[u] - largest);
      sum += p_t[u];
    }
    for (int u = 0; u < T; ++u) p_t[u] = static_cast<float>(p_t[u] / sum);
  }
  weighted_sum(out, p, v, T, HS);
  // end of your code
}

// Differentiates attention_forward from its last line to its first:
//
//   out[t, d]    = sum_u p[t, u] * v[u, d]           gives dv and dp
//   p[t, u]      = softmax over u of scores[t, u]    gives ds
//   scores[t, u] = (q[t] . k[u]) / sqrt(HS)          gives dq and dk
//
// dq, dk, dv [T, HS]: accumulate. dp, ds [T, T]: written. dout, q, k, v [T, HS].
// p [T, T]: as attention_forward left it.
void attention_backward(float* dq, float* dk, float* dv, float* dp, float* ds, const float* dout,
                        const float* p, const float* q, const float* k, const float* v, int T,
                        int HS) {
  // your code: 07.attention_backward
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  for (int t = 0; t < T; ++t) {
    const std::int64_t row = std::int64_t{t} * T, at_t = std::int64_t{t} * HS;
    // What a value passes on to out it takes back, times the same weight. And a weight gains as
    // much as the value behind it points along dout.
    double mean = 0.0;
    for (int u = 0; u < T; ++u) {
      const std::int64_t at_u = std::int64_t{u} * HS;
      float sum = 0.0f;
      for (int d = 0; d < HS; ++d) {
        dv[at_u + d] += p[row + u] * dout[at_t + d];
        sum += dout[at_t + d] * v[at_u + d];
      }
      dp[row + u] = sum;
      mean += double{p[row + u]} * sum;
    }
    // The weights of a row sum to 1: a score gains by what its key is better than their mean.
    for (int u = 0; u < T; ++u) {
      ds[row + u] = p[row + u] * (dp[row + u] - static_cast<float>(mean));
    }
    // A dot product passes the gradient to both sides, times the other side.
    for (int u = 0; u < T; ++u) {
      const std::int64_t at_u = std::int64_t{u} * HS;
      for (int d = 0; d < HS; ++d) {
        dq[at_t + d] += scale * ds[row + u] * k[at_u + d];
        dk[at_u + d] += scale * ds[row + u] * q[at_t + d];
      }
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
