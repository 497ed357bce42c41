#include "solutions/03-matmul/matmul.cuh"

#include <cstdint>

#include "solutions/03-matmul/tiles.cuh"
#include "tinygpt/ops/linear.h"

namespace tinygpt::ref_cuda {

// out[m, n] = sum_k a[m, k] * b[k, n], one thread for each output: thread i of the whole grid has
// row m = i % M and column n = i / M, so that neighbouring threads are in neighbouring rows.
__global__ void matmul_naive_kernel(float* out, const float* a, const float* b, int M, int N,
                                    int K) {
  // your code on the device: 03.matmul_naive_cuda
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= std::int64_t{M} * N) return;  // the last block has threads too many
  const std::int64_t m = i % M, n = i / M;
  float sum = 0.0f;
  for (int k = 0; k < K; ++k) sum += a[m * K + k] * b[std::int64_t{k} * N + n];
  out[m * N + n] = sum;
  // end of your code
}

void matmul_naive(float* out, const float* a, const float* b, int M, int N, int K) {
  if (M == 0 || N == 0) return;
  // your code: 03.matmul_naive_cuda
  const auto blocks = static_cast<unsigned>(ceil_div(std::int64_t{M} * N, kThreads));
  matmul_naive_kernel<<<blocks, kThreads>>>(out, a, b, M, N, K);
  // end of your code
  check_launch("matmul_naive");
}

// The same with neighbouring threads in neighbouring columns: m = i / N, n = i % N. A warp then
// reads 32 neighbours of b, and one value of a that all its lanes share.
__global__ void matmul_coalesced_kernel(float* out, const float* a, const float* b, int M, int N,
                                        int K) {
  // your code on the device: 03.matmul_coalesced_cuda
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= std::int64_t{M} * N) return;
  const std::int64_t m = i / N, n = i % N;
  float sum = 0.0f;
  for (int k = 0; k < K; ++k) sum += a[m * K + k] * b[std::int64_t{k} * N + n];
  out[m * N + n] = sum;
  // end of your code
}

void matmul_coalesced(float* out, const float* a, const float* b, int M, int N, int K) {
  if (M == 0 || N == 0) return;
  // your code: 03.matmul_coalesced_cuda
  const auto blocks = static_cast<unsigned>(ceil_div(std::int64_t{M} * N, kThreads));
  matmul_coalesced_kernel<<<blocks, kThreads>>>(out, a, b, M, N, K);
  // end of your code
  check_launch("matmul_coalesced");
}

// out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c]
//
// A product with weight^T [C, OC], which lies in memory column by column, as weight [OC, C].
template <class Real>
void linear_forward(Real* out, const Real* x, const Real* weight, const Real* bias,
                    float* /*scratch*/, int N, int C, int OC) {
  matmul_tiles<Layout::rows, Layout::columns>(out, x, weight, N, OC, C, Write<Real>{bias},
                                              "linear_forward");
}

std::int64_t linear_scratch_size(int /*N*/, int /*C*/, int /*OC*/) { return 0; }

template LinearForward<float> linear_forward<float>;
template LinearForward<Bfloat16> linear_forward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
