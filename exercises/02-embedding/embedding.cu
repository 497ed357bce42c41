#include "exercises/02-embedding/embedding.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/embedding.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {

// out[n, c] = weight[tokens[n], c]
//
// One block copies one row: block n has token n.
template <class Real>
__global__ void embedding_forward_kernel(Real* out, const int* tokens, const Real* weight, int C) {
  // your code on the device: 02.embedding_forward_cuda
  // end of your code
}

template <class Real>
void embedding_forward(Real* out, const int* tokens, const Real* weight, int N, int C, int /*V*/) {
  if (N == 0 || C == 0) return;
  // your code: 02.embedding_forward_cuda
  throw NotImplemented("02.embedding_forward_cuda");
  // end of your code
  check_launch("embedding_forward");
}

// Differentiates out[n, c] = weight[tokens[n], c]: row v collects the gradients of every n where
// tokens[n] is v.
//
// One block for each n. Tokens may be equal, and several blocks must not write to one row. Without
// atomic additions, so that every run rounds alike. to_float reads any Real as float;
// __syncthreads_or(x) is a barrier that tells all threads of the block whether x was true for any.
template <class Real>
__global__ void embedding_backward_kernel(float* dweight, const Real* dout, const int* tokens,
                                          int N, int C) {
  // your code on the device: 02.embedding_backward_cuda
  // end of your code
}

template <class Real>
void embedding_backward(float* dweight, const Real* dout, const int* tokens, int N, int C,
                        int /*V*/) {
  if (N == 0 || C == 0) return;
  // your code: 02.embedding_backward_cuda
  throw NotImplemented("02.embedding_backward_cuda");
  // end of your code
  check_launch("embedding_backward");
}

template EmbeddingForward<float> embedding_forward<float>;
template EmbeddingForward<Bfloat16> embedding_forward<Bfloat16>;
template EmbeddingBackward<float> embedding_backward<float>;
template EmbeddingBackward<Bfloat16> embedding_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
