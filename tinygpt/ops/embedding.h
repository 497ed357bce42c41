// Token embedding: a row of a table for each token.
//
//   out[n, c] = weight[tokens[n], c]
//
// This is the product of a one-hot matrix [N, V] with weight [V, C], without the zeros.
#pragma once

namespace tinygpt {

// out     [N, C]  written
// tokens  [N]     0 <= tokens[n] < V; the caller checks them once, when a batch is made
// weight  [V, C]
template <class Real>
using EmbeddingForward = void(Real* out, const int* tokens, const Real* weight, int N, int C,
                              int V);

// dweight[tokens[n], c] += dout[n, c]
//
// dweight [V, C]  accumulates; a token that occurs twice receives both gradients, in the order of n
template <class Real>
using EmbeddingBackward = void(float* dweight, const Real* dout, const int* tokens, int N, int C,
                               int V);

}  // namespace tinygpt
