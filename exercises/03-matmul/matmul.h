// Lesson 03: the matrix product, in two orders of its loops, and the linear layer that is made of
// it.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// out = a b: out[m, n] = sum_k a[m, k] * b[k, n].
//
// out [M, N]  written
// a   [M, K]
// b   [K, N]
void matmul_naive(float* out, const float* a, const float* b, int M, int N, int K);

// The same by tiles that stay in the cache.
void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K);

// Contracts: tinygpt/ops/linear.h.
void linear_forward(float* out, const float* x, const float* weight, const float* bias,
                    float* scratch, int N, int C, int OC);
std::int64_t linear_scratch_size(int N, int C, int OC);

}  // namespace tinygpt::mine
