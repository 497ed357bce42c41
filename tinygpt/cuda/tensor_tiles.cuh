// Matrix products of bf16 on tensor cores, for compute capability 8.0 and up.
#pragma once

#include <cstring>

#include "tinygpt/cuda/operand.cuh"
#include "tinygpt/simt/tensor_core.h"

namespace tinygpt::cuda {

inline constexpr int kTensorDepth = 32, kStages = 3;
inline constexpr int kChunk = 8;  // bf16 in 16 bytes: what is copied, and read as a matrix's row

template <int kSize>
inline constexpr int kTensorThreads = 2 * kSize;  // warps of kSize / 2 rows and 32 columns
template <int kSize>
inline constexpr int kTileChunks = kSize* kTensorDepth / kChunk;

// Where a chunk of a tile is in shared memory. A tile lies as its factor does. ldmatrix reads the
// same chunk of eight lines at once: XOR with the line's number puts the eight into different
// banks, without padding.
template <int kSize, Inner kInner>
__device__ int chunk_place(int line, int chunk) {
  if constexpr (kInner == Inner::k) {
    return line * (kTensorDepth / kChunk) + (chunk ^ (line / 2 % 4));  // two lines fill all banks
  } else {
    return line * (kSize / kChunk) + (chunk ^ (line % 8));
  }
}

// Starts the copies of one tile. Not aligned, the values come one by one.
template <int kSize, Inner kInner, bool kAligned>
__device__ void start_tile(uint4* tile, const Operand<Bfloat16>& a, int row0, int k0, int k_end) {
  constexpr int kAcross = (kInner == Inner::k ? kTensorDepth : kSize) / kChunk;
  for (int i = threadIdx.x; i < kTileChunks<kSize>; i += kTensorThreads<kSize>) {
    const int line = i / kAcross, chunk = i % kAcross;
    const int row = row0 + (kInner == Inner::k ? line : chunk * kChunk);
    const int k = k0 + (kInner == Inner::k ? chunk * kChunk : line);
    uint4* place = tile + chunk_place<kSize, kInner>(line, chunk);
    if constexpr (kAligned) {
      const bool inside = row < a.rows && k < k_end;
      simt::cp_async<16>(place, inside ? address<kInner>(a, row, k) : a.data, inside);
    } else {
      __align__(16) Bfloat16 values[kChunk];
#pragma unroll
      for (int j = 0; j < kChunk; ++j) {
        const int dr = kInner == Inner::k ? 0 : j, dk = kInner == Inner::k ? j : 0;
        values[j] = value_or_zero<kInner>(a, row + dr, k + dk, k_end);
      }
      std::uint32_t words[4];
      memcpy(words, values, sizeof(words));
      *place =
          make_uint4(words[0], words[1], words[2], words[3]);  // one store, as the copies above
    }
  }
}

// Four 8 x 8 matrices: rows row, row + 8 and depths k, k + 8, rows first (kRowsFirst, as mma wants
// its left factor) or depths first (twice its right one). A tile with rows innermost is transposed
// on the way into the registers.
template <int kSize, Inner kInner, bool kRowsFirst>
__device__ void load_fragments(std::uint32_t (&r)[4], const uint4* tile, int row, int k) {
  const int lane = threadIdx.x % 32, first = lane / 8 % 2, second = lane / 16;
  const int dr = kRowsFirst ? first : second, dk = kRowsFirst ? second : first;
  if constexpr (kInner == Inner::k) {
    const int line = row + dr * 8 + lane % 8;
    simt::ldmatrix_x4(r, tile + chunk_place<kSize, kInner>(line, k / kChunk + dk));
  } else {
    const int line = k + dk * 8 + lane % 8;
    simt::ldmatrix_x4_trans(r, tile + chunk_place<kSize, kInner>(line, row / kChunk + dr));
  }
}

// A warp's products of one tile: a register of a serves four mma, one of b kFragments.
template <int kSize, Inner kInnerA, Inner kInnerB, int kFragments>
__device__ void multiply_tile(float (&sums)[kFragments][4][4], const uint4* a, const uint4* b,
                              int row, int col) {
#pragma unroll
  for (int k = 0; k < kTensorDepth; k += 16) {
    std::uint32_t of_b[2][4];
    load_fragments<kSize, kInnerB, false>(of_b[0], b, col, k);
    load_fragments<kSize, kInnerB, false>(of_b[1], b, col + 16, k);
#pragma unroll
    for (int i = 0; i < kFragments; ++i) {
      std::uint32_t of_a[4];
      load_fragments<kSize, kInnerA, true>(of_a, a, row + 16 * i, k);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const std::uint32_t pair[2] = {of_b[j / 2][j % 2 * 2], of_b[j / 2][j % 2 * 2 + 1]};
        simt::mma_bf16(sums[i][j], of_a, pair, sums[i][j]);
      }
    }
  }
}

// One block computes kSize x kSize values of out. kStages tiles of each factor go round: one is
// multiplied while cp.async brings the next two, past the registers.
template <int kSize, Inner kInnerA, Inner kInnerB, bool kAligned, class Finish>
__global__ void __launch_bounds__(kTensorThreads<kSize>)
    tensor_tiles_kernel(Operand<Bfloat16> a, Operand<Bfloat16> b, Finish finish, Split split) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  constexpr int kFragments = kSize / 32;
  __shared__ uint4 tile_a[kStages][kTileChunks<kSize>], tile_b[kStages][kTileChunks<kSize>];
  const int row0 = blockIdx.x * kSize, col0 = blockIdx.y * kSize;
  const int begin = blockIdx.z * split.depth, end = min(a.K, begin + split.depth);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int row = warp / (kSize / 32) * (kSize / 2), col = warp % (kSize / 32) * 32;
  float sums[kFragments][4][4] = {};
  const auto start = [&](int stage, int k0) {
    if (k0 < end) {
      start_tile<kSize, kInnerA, kAligned>(tile_a[stage], a, row0, k0, end);
      start_tile<kSize, kInnerB, kAligned>(tile_b[stage], b, col0, k0, end);
    }
    simt::cp_async_commit();  // an empty group at the end, so that one count serves every step
  };
  for (int s = 0; s < kStages - 1; ++s) start(s, begin + s * kTensorDepth);
  int stage = 0;
  for (int k0 = begin; k0 < end; k0 += kTensorDepth, stage = (stage + 1) % kStages) {
    simt::cp_async_wait<kStages - 2>();
    __syncthreads();  // this stage is complete, and the one before it read to the end
    start((stage + kStages - 1) % kStages, k0 + (kStages - 1) * kTensorDepth);
    multiply_tile<kSize, kInnerA, kInnerB>(sums, tile_a[stage], tile_b[stage], row, col);
  }
#pragma unroll
  for (int i = 0; i < kFragments; ++i) {
#pragma unroll
    for (int e = 0; e < 16; ++e) {
      const int m = row0 + row + 16 * i + lane / 4 + e % 4 / 2 * 8;
      const int n = col0 + col + e / 4 * 8 + lane % 4 * 2 + e % 2;
      finish_value(finish, split, m, n, a.rows, b.rows, sums[i][e / 4][e % 4]);
    }
  }
#endif
}

// Whether what was compiled for this device has the kernel's body.
template <class Kernel>
bool has_tensor_code(Kernel* kernel) {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess && attributes.ptxVersion >= 80;
}

}  // namespace tinygpt::cuda
