// The matrix product by tiles in shared memory, in every transposition that a linear layer and its
// backward pass ask for.
#pragma once

#include <cstdint>

#include "exercises/kernel.cuh"

namespace tinygpt::mine_cuda {

inline constexpr int kTile = 32;     // a tile is 32 x 32 values
inline constexpr int kTileRows = 8;  // a block is 32 x 8 threads: each thread has 4 rows of a tile

// A matrix as it lies in memory: row by row, or, transposed, column by column.
enum class Layout { rows, columns };

// tile[r][c] = matrix[row0 + r, col0 + c], and 0 outside of rows x cols, where a product is as if
// there were nothing.
//
// threadIdx.x runs along memory, whichever way the matrix lies, so that a warp reads 32 neighbours.
// Columns are then written down the tile: without the padding of one, all 32 would fall into the
// same bank of shared memory, and be written one after the other.
template <Layout kLayout, class Real>
__device__ void load_tile(float (&tile)[kTile][kTile + 1], const Real* matrix, int rows, int cols,
                          int row0, int col0) {
  for (int y = threadIdx.y; y < kTile; y += kTileRows) {
    const int x = threadIdx.x;
    const int r = kLayout == Layout::rows ? y : x, c = kLayout == Layout::rows ? x : y;
    const std::int64_t row = row0 + r, col = col0 + c;
    const std::int64_t at = kLayout == Layout::rows ? row * cols + col : col * rows + row;
    tile[r][c] = row < rows && col < cols ? to_float(matrix[at]) : 0.0f;
  }
}

// What becomes of a sum of products.
template <class Real>
struct Write {  // out = bias + sum
  const Real* bias;
  __device__ void operator()(Real* out, int n, float sum) const {
    store(out, sum + (bias != nullptr ? to_float(bias[n]) : 0.0f));
  }
};

struct Accumulate {  // out += sum
  template <class Out>
  __device__ void operator()(Out* out, int /*n*/, float sum) const {
    add(out, sum);
  }
};

// finish(out[m, n], sum_k a[m, k] * b[k, n]) for a [M, K], b [K, N], out [M, N]
//
// One block computes one tile of out. It goes along a row of tiles of a and down a column of tiles
// of b; each value fetched from memory then serves 32 products instead of one. Thread (x, y) has
// column x and rows y, y + 8, y + 16, y + 24 of the tile: a warp has one y, so all its lanes read
// the same value of a, which costs one read, and 32 neighbours of b, one from each bank.
template <Layout kLayoutA, Layout kLayoutB, class Out, class Real, class Finish>
__global__ void __launch_bounds__(kTile* kTileRows)
    matmul_tiles_kernel(Out* out, const Real* a, const Real* b, int M, int N, int K,
                        Finish finish) {
  __shared__ float tile_a[kTile][kTile + 1], tile_b[kTile][kTile + 1];
  const int row0 = blockIdx.x * kTile, col0 = blockIdx.y * kTile;
  float sums[kTile / kTileRows] = {};
  for (int k0 = 0; k0 < K; k0 += kTile) {
    load_tile<kLayoutA>(tile_a, a, M, K, row0, k0);
    load_tile<kLayoutB>(tile_b, b, K, N, k0, col0);
    __syncthreads();  // both tiles are complete
    for (int k = 0; k < kTile; ++k) {
      const float b_kn = tile_b[k][threadIdx.x];
      for (int j = 0; j < kTile / kTileRows; ++j) {
        sums[j] += tile_a[threadIdx.y + j * kTileRows][k] * b_kn;
      }
    }
    __syncthreads();  // nobody reads them any more: the next two may take their place
  }
  const int n = col0 + threadIdx.x;
  for (int j = 0; j < kTile / kTileRows; ++j) {
    const int m = row0 + threadIdx.y + j * kTileRows;
    if (m < M && n < N) finish(out + std::int64_t{m} * N + n, n, sums[j]);
  }
}

template <Layout kLayoutA, Layout kLayoutB, class Out, class Real, class Finish>
void matmul_tiles(Out* out, const Real* a, const Real* b, int M, int N, int K, Finish finish,
                  const char* what) {
  if (M == 0 || N == 0) return;
  // Rows go along x: a grid may be 2^31 blocks wide, but only 65,535 high.
  const dim3 grid(static_cast<unsigned>(ceil_div(M, kTile)),
                  static_cast<unsigned>(ceil_div(N, kTile)));
  const dim3 block(kTile, kTileRows);
  matmul_tiles_kernel<kLayoutA, kLayoutB><<<grid, block>>>(out, a, b, M, N, K, finish);
  check_launch(what);
}

}  // namespace tinygpt::mine_cuda
