// Lesson 03 on CUDA: the matrix product, naive and by tiles, and the linear layer.
#pragma once

#include <cstdint>

namespace tinygpt::ref_cuda {

// out = a b: out[m, n] = sum_k a[m, k] * b[k, n], in four ways. Shapes as in
// solutions/03-matmul/matmul.h.
void matmul_naive(float* out, const float* a, const float* b, int M, int N, int K);
void matmul_coalesced(float* out, const float* a, const float* b, int M, int N, int K);
void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K);
void matmul_register_tiled(float* out, const float* a, const float* b, int M, int N, int K);

// Contracts: tinygpt/ops/linear.h.
template <class Real>
void linear_forward(Real* out, const Real* x, const Real* weight, const Real* bias, float* scratch,
                    int N, int C, int OC);
std::int64_t linear_scratch_size(int N, int C, int OC);

}  // namespace tinygpt::ref_cuda
