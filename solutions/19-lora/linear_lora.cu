#include <cstdint>

#include "solutions/03-matmul/tiles.cuh"
#include "solutions/19-lora/lora.cuh"
#include "solutions/19-lora/lora_down.cuh"
#include "solutions/kernel.cuh"
#include "tinygpt/ops/fused.h"

namespace tinygpt::ref_cuda {

// sums[j] += sum_k tile_a[row of j][k] * tile_b[k][column], for the thread's four rows.
__device__ inline void multiply_tiles(float (&sums)[kTile / kTileRows],
                                      const float (&tile_a)[kTile][kTile + 1],
                                      const float (&tile_b)[kTile][kTile + 1]) {
  for (int k = 0; k < kTile; ++k) {
    const float b_kn = tile_b[k][threadIdx.x];
    for (int j = 0; j < kTile / kTileRows; ++j) {
      sums[j] += tile_a[threadIdx.y + j * kTileRows][k] * b_kn;
    }
  }
}

// out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c] + scale * sum_r ax[n, r] * b[o, r]
//
// One block of 32 x 8 threads computes one tile of 32 x 32 values of out: rows blockIdx.x * 32 ...,
// columns blockIdx.y * 32 ... Thread (x, y) has column x and rows y, y + 8, y + 16, y + 24. Two
// sums go on side by side, one along C and one along rank, and out is written once, with both.
// C, OC and rank need not be multiples of 32. bias [OC] is nullptr where the layer has none.
//
// load_tile<Layout::rows>(tile, matrix, rows, cols, row0, col0) brings 32 x 32 values from row0,
// col0 on into shared memory, with 0 outside. A matrix that is to be read transposed, as
// weight [OC, C] where C x OC is needed, is Layout::columns, with rows, cols and places of the
// transposed one. multiply_tiles adds the product of two tiles to the thread's sums.
template <class Real>
__global__ void __launch_bounds__(kTile* kTileRows)
    linear_lora_kernel(Real* out, const Real* x, const Real* weight, const Real* bias,
                       const float* ax, const Real* b, int N, int C, int OC, int rank,
                       float scale) {
  // your code on the device: 19.linear_lora_cuda
  __shared__ float tile_a[kTile][kTile + 1], tile_b[kTile][kTile + 1];
  const int row0 = blockIdx.x * kTile, col0 = blockIdx.y * kTile;
  float frozen[kTile / kTileRows] = {}, adapter[kTile / kTileRows] = {};
  for (int k0 = 0; k0 < C; k0 += kTile) {
    load_tile<Layout::rows>(tile_a, x, N, C, row0, k0);
    load_tile<Layout::columns>(tile_b, weight, C, OC, k0, col0);
    __syncthreads();  // both tiles are complete
    multiply_tiles(frozen, tile_a, tile_b);
    __syncthreads();  // nobody reads them any more: the next two may take their place
  }
  for (int r0 = 0; r0 < rank; r0 += kTile) {
    load_tile<Layout::rows>(tile_a, ax, N, rank, row0, r0);
    load_tile<Layout::columns>(tile_b, b, rank, OC, r0, col0);
    __syncthreads();
    multiply_tiles(adapter, tile_a, tile_b);
    __syncthreads();
  }
  const int o = col0 + threadIdx.x;
  for (int j = 0; j < kTile / kTileRows; ++j) {
    const int n = row0 + threadIdx.y + j * kTileRows;
    if (n >= N || o >= OC) continue;
    const float start = bias != nullptr ? to_float(bias[o]) : 0.0f;
    store(out + std::int64_t{n} * OC + o, start + frozen[j] + scale * adapter[j]);
  }
  // end of your code
}

// ax = x A^T comes first, by lora_down: the kernel above needs whole rows of it.
template <class Real>
void linear_lora_forward(Real* out, float* ax, const Real* x, const Real* weight, const Real* bias,
                         const Real* a, const Real* b, float* /*scratch*/, int N, int C, int OC,
                         int rank, float scale) {
  lora_down(ax, x, a, N, C, rank);
  if (N == 0 || OC == 0) return;
  // your code: 19.linear_lora_cuda
  const dim3 grid(static_cast<unsigned>(ceil_div(N, kTile)),
                  static_cast<unsigned>(ceil_div(OC, kTile)));
  const dim3 block(kTile, kTileRows);
  linear_lora_kernel<<<grid, block>>>(out, x, weight, bias, ax, b, N, C, OC, rank, scale);
  // end of your code
  check_launch("linear_lora_forward");
}

template LinearLoraForward<float> linear_lora_forward<float>;
template LinearLoraForward<Bfloat16> linear_lora_forward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
