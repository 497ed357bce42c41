#include <cstdint>

#include "solutions/03-matmul/matmul.cuh"
#include "solutions/kernel.cuh"

namespace tinygpt::ref_cuda {
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
  __shared__ float tile_a[kSide][kSide], tile_b[kSide][kSide];
  const int x = threadIdx.x, y = threadIdx.y;
  const int m = blockIdx.y * kSide + y, n = blockIdx.x * kSide + x;
  float sum = 0.0f;
  for (int k0 = 0; k0 < K; k0 += kSide) {
    // Outside of the matrices is 0, which adds nothing.
    tile_a[y][x] = m < M && k0 + x < K ? a[std::int64_t{m} * K + k0 + x] : 0.0f;
    tile_b[y][x] = k0 + y < K && n < N ? b[std::int64_t{k0 + y} * N + n] : 0.0f;
    __syncthreads();  // both tiles are complete
    for (int k = 0; k < kSide; ++k) sum += tile_a[y][k] * tile_b[k][x];
    __syncthreads();  // nobody reads them any more: the next may take their place
  }
  if (m < M && n < N) out[std::int64_t{m} * N + n] = sum;
  // end of your code
}

void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  if (M == 0 || N == 0) return;
  // your code: 03.matmul_tiled_cuda
  const dim3 grid(static_cast<unsigned>(ceil_div(N, kSide)),
                  static_cast<unsigned>(ceil_div(M, kSide)));
  matmul_tiled_kernel<<<grid, dim3(kSide, kSide)>>>(out, a, b, M, N, K);
  // end of your code
  check_launch("matmul_tiled");
}

// The same with 16 outputs for each thread, in registers: a block of 16 x 16 threads has a 64 x 64
// tile of out. Thread (x, y) has rows y, y + 16, y + 32, y + 48 of it, and columns x, x + 16, ...
// A value that is read from shared memory then serves 4 products instead of 1.
__global__ void matmul_register_tiled_kernel(float* out, const float* a, const float* b, int M,
                                             int N, int K) {
  // your code on the device: 03.matmul_register_tiled_cuda
  __shared__ float tile_a[kWide][kDeep], tile_b[kDeep][kWide];
  const int x = threadIdx.x, y = threadIdx.y;
  const int m0 = blockIdx.y * kWide, n0 = blockIdx.x * kWide;
  float sum[kEach][kEach] = {};
  for (int k0 = 0; k0 < K; k0 += kDeep) {
    for (int i = 0; i < kEach; ++i) {  // four rows of tile_a and four columns of tile_b for each
      const int m = m0 + y + kSide * i, n = n0 + x + kSide * i;
      tile_a[y + kSide * i][x] = m < M && k0 + x < K ? a[std::int64_t{m} * K + k0 + x] : 0.0f;
      tile_b[y][x + kSide * i] = k0 + y < K && n < N ? b[std::int64_t{k0 + y} * N + n] : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < kDeep; ++k) {
      float row[kEach], column[kEach];
      for (int i = 0; i < kEach; ++i) row[i] = tile_a[y + kSide * i][k];
      for (int i = 0; i < kEach; ++i) column[i] = tile_b[k][x + kSide * i];
      for (int i = 0; i < kEach; ++i) {
        for (int j = 0; j < kEach; ++j) sum[i][j] += row[i] * column[j];
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) {
      const int m = m0 + y + kSide * i, n = n0 + x + kSide * j;
      if (m < M && n < N) out[std::int64_t{m} * N + n] = sum[i][j];
    }
  }
  // end of your code
}

void matmul_register_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  if (M == 0 || N == 0) return;
  // your code: 03.matmul_register_tiled_cuda
  const dim3 grid(static_cast<unsigned>(ceil_div(N, kWide)),
                  static_cast<unsigned>(ceil_div(M, kWide)));
  matmul_register_tiled_kernel<<<grid, dim3(kSide, kSide)>>>(out, a, b, M, N, K);
  // end of your code
  check_launch("matmul_register_tiled");
}

}  // namespace tinygpt::ref_cuda
