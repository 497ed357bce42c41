#include <cstdint>

#include "exercises/03-matmul/matmul.cuh"
#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {
namespace {

constexpr int kSide = 16;             // of a tile, for matmul_tiled
constexpr int kEach = 4;              // matmul_register_tiled: a thread has 4 x 4 outputs
constexpr int kWide = kSide * kEach;  // so a block of 16 x 16 threads has 64 x 64
constexpr int kDeep = 16;             // and goes 16 columns of a at a time

}  // namespace

// out[m, n] = sum_k a[m, k] * b[k, n]
//
// A block of 16 x 16 threads has a 16 x 16 tile of out: thread (x, y) has row blockIdx.y * 16 + y
// and column blockIdx.x * 16 + x. It goes along the row of tiles of a and down the column of tiles
// of b: each thread brings one value of either into shared memory, and all use all of them.
__global__ void matmul_tiled_kernel(float* out, const float* a, const float* b, int M, int N,
                                    int K) {
  // your code on the device: 03.matmul_tiled_cuda
  // end of your code
}

void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  if (M == 0 || N == 0) return;
  // your code: 03.matmul_tiled_cuda
  throw NotImplemented("03.matmul_tiled_cuda");
  // end of your code
  check_launch("matmul_tiled");
}

// The same with 16 outputs for each thread, in registers: a block of 16 x 16 threads has a 64 x 64
// tile of out. Thread (x, y) has rows y, y + 16, y + 32, y + 48 of it, and columns x, x + 16, ...
// A value that is read from shared memory then serves 4 products instead of 1.
__global__ void matmul_register_tiled_kernel(float* out, const float* a, const float* b, int M,
                                             int N, int K) {
  // your code on the device: 03.matmul_register_tiled_cuda
  // end of your code
}

void matmul_register_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  if (M == 0 || N == 0) return;
  // your code: 03.matmul_register_tiled_cuda
  throw NotImplemented("03.matmul_register_tiled_cuda");
  // end of your code
  check_launch("matmul_register_tiled");
}

}  // namespace tinygpt::mine_cuda
