#include "exercises/07-self-attention/self_attention.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::mine {

// out[t, c] = sum_u weights[t, u] * x[u, c]
//
// out [T, C]: written. weights [T, T]: any numbers; row t belongs to row t of out. x [T, C].
void weighted_sum(float* out, const float* weights, const float* x, int T, int C) {
  // your code: 07.weighted_sum
  throw NotImplemented("07.weighted_sum");
  // end of your code
}

// scores[t, u] = (q[t] . k[u]) / sqrt(HS)
//
// scores [T, T]: written; a row for each query, a column for each key. q, k [T, HS].
void attention_scores(float* scores, const float* q, const float* k, int T, int HS) {
  // your code: 07.attention_scores
  throw NotImplemented("07.attention_scores");
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
  throw NotImplemented("07.attention_forward");
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
  throw NotImplemented("07.attention_backward");
  // end of your code
}

}  // namespace tinygpt::mine
