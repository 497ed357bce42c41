// Small kernels on which the emulator itself is tested, and their launchers. Pointers are the
// device's.
#pragma once

#include <cstdint>

namespace test_cuda {

// c (M x N) = a (M x K) times b (K x N): one thread per element of c; from global memory, and
// through tiles of 16 x 16 in shared memory.
void matmul_naive(float* c, const float* a, const float* b, int M, int N, int K);
void matmul_tiled(float* c, const float* a, const float* b, int M, int N, int K);

// sums[row] = sum of x[row, :]: a block of 128 threads per row, through warp shuffles.
void row_sums(float* sums, const float* x, int N, int C);

// counts[value] += 1 for each value, with atomics in shared and then in global memory.
void histogram(unsigned* counts, const int* values, int n, int bins);

// out[i] = x[n - 1 - i] inside each block of n, through dynamic shared memory of n floats.
void reverse(float* out, const float* x, int n, int blocks);

// One warp tries every collective; see the test for what each slot holds.
inline constexpr int kCollectives = 14;
void collectives(std::uint64_t* out, const int* x);

// out[i] = how many of the block's threads have an odd value, whether all, whether any.
void block_votes(int* out, const int* x, int n);

// Waits at a shuffle that half of the warp never reaches.
void deadlock(int* out);

}  // namespace test_cuda
