// Lesson 07: one token looks at the others. One head that sees every position, with every matrix of
// the derivation in memory.
#pragma once

namespace tinygpt::ref {

// out[t, c] = sum_u weights[t, u] * x[u, c]
//
// out     [T, C]  written
// weights [T, T]  row t: how much of each row of x goes into row t of out
// x       [T, C]
void weighted_sum(float* out, const float* weights, const float* x, int T, int C);

// scores[t, u] = (q[t] . k[u]) / sqrt(HS): how well key u answers query t.
// Vaswani et al.: "Attention Is All You Need" (2017), equation 1.
//
// scores [T, T]   written
// q, k   [T, HS]
void attention_scores(float* scores, const float* q, const float* k, int T, int HS);

// p[t, u]   = softmax over u of scores[t, u]
// out[t, d] = sum_u p[t, u] * v[u, d]
//
// out       [T, HS]  written
// scores, p [T, T]   written; p is kept for the backward pass
// q, k, v   [T, HS]
void attention_forward(float* out, float* scores, float* p, const float* q, const float* k,
                       const float* v, int T, int HS);

// The gradients of attention_forward.
//
// dq, dk, dv   [T, HS]  accumulate
// dp, ds       [T, T]   written: the gradients by p and by the scores
// dout         [T, HS]
// p            [T, T]   as attention_forward left it
// q, k, v      [T, HS]
void attention_backward(float* dq, float* dk, float* dv, float* dp, float* ds, const float* dout,
                        const float* p, const float* q, const float* k, const float* v, int T,
                        int HS);

}  // namespace tinygpt::ref
