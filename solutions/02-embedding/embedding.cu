#include "solutions/02-embedding/embedding.cuh"

#include <cstdint>

#include "solutions/kernel.cuh"
#include "tinygpt/ops/embedding.h"

namespace tinygpt::ref_cuda {

// out[n, c] = weight[tokens[n], c]
//
// One block copies one row: block n has token n.
template <class Real>
__global__ void embedding_forward_kernel(Real* out, const int* tokens, const Real* weight, int C) {
  // your code on the device: 02.embedding_forward_cuda
  // Neighbouring threads copy neighbouring values, so wherever in the table the row lies, a warp
  // reads and writes 32 values in a piece.
  const std::int64_t n = blockIdx.x;
  const Real* weight_v = weight + std::int64_t{tokens[n]} * C;  // the row of this token
  for (int c = threadIdx.x; c < C; c += blockDim.x) out[n * C + c] = weight_v[c];
  // end of your code
}

template <class Real>
void embedding_forward(Real* out, const int* tokens, const Real* weight, int N, int C, int /*V*/) {
  if (N == 0 || C == 0) return;
  // your code: 02.embedding_forward_cuda
  embedding_forward_kernel<<<N, kThreads>>>(out, tokens, weight, C);
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
  // Of all blocks with the same token only the first one works: it adds up the whole row.
  const int first = blockIdx.x;
  const int token = tokens[first];
  bool occurred = false;
  for (int n = threadIdx.x; n < first; n += blockDim.x) occurred |= tokens[n] == token;
  if (__syncthreads_or(occurred)) return;  // the answer is the same for all threads: all leave
  float* dweight_v = dweight + std::int64_t{token} * C;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    float sum = dweight_v[c];
    for (int n = first; n < N; ++n) {
      if (tokens[n] == token) sum += to_float(dout[std::int64_t{n} * C + c]);
    }
    dweight_v[c] = sum;
  }
  // end of your code
}

template <class Real>
void embedding_backward(float* dweight, const Real* dout, const int* tokens, int N, int C,
                        int /*V*/) {
  if (N == 0 || C == 0) return;
  // your code: 02.embedding_backward_cuda
  embedding_backward_kernel<<<N, kThreads>>>(dweight, dout, tokens, N, C);
  // end of your code
  check_launch("embedding_backward");
}

template EmbeddingForward<float> embedding_forward<float>;
template EmbeddingForward<Bfloat16> embedding_forward<Bfloat16>;
template EmbeddingBackward<float> embedding_backward<float>;
template EmbeddingBackward<Bfloat16> embedding_backward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
