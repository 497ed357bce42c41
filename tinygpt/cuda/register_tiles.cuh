// Matrix products without tensor cores: float, and bf16 on devices before compute capability 8.0.
#pragma once

#include "tinygpt/cuda/operand.cuh"

namespace tinygpt::cuda {

inline constexpr int kRegisterThreads = 256;  // 16 x 16

// A tile is kSize rows, and as deep as gives every thread four neighbours in memory to fetch.
template <int kSize>
inline constexpr int kRegisterDepth = 4 * kRegisterThreads / kSize;

// Where a thread's four values are in a tile.
struct Quad {
  int row, k;
};

template <int kSize, Inner kInner>
__device__ Quad my_quad() {
  constexpr int kAcross = (kInner == Inner::k ? kRegisterDepth<kSize> : kSize) / 4;
  const int along = threadIdx.x % kAcross * 4, other = threadIdx.x / kAcross;
  return kInner == Inner::k ? Quad{other, along} : Quad{along, other};
}

// kVector: the data is aligned to 16 bytes and its inner extent a multiple of four, so that four
// values are all inside or all outside, and one load.
template <Inner kInner, bool kVector, class Real>
__device__ void fetch(float (&values)[4], const Operand<Real>& a, int row, int k, int k_end) {
  if constexpr (kVector) {
    float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (row < a.rows && k < k_end) {
      four = *reinterpret_cast<const float4*>(address<kInner>(a, row, k));
    }
    values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int dr = kInner == Inner::k ? 0 : i, dk = kInner == Inner::k ? i : 0;
      values[i] = to_float(value_or_zero<kInner>(a, row + dr, k + dk, k_end));
    }
  }
}

// The tile has k outermost whichever way the factor lies, so that a thread reads the rows that it
// multiplies as float4s. The padding of four keeps these aligned, and spreads over the banks what
// is written down a column.
template <Inner kInner, int kDepth, int kSize>
__device__ void put(float (&tile)[kDepth][kSize + 4], const Quad& at, const float (&values)[4]) {
  if constexpr (kInner == Inner::k) {
#pragma unroll
    for (int i = 0; i < 4; ++i) tile[at.k + i][at.row] = values[i];
  } else {
    *reinterpret_cast<float4*>(&tile[at.k][at.row]) =
        make_float4(values[0], values[1], values[2], values[3]);
  }
}

// A thread's rows of a tile are groups of four, 64 apart: neighbouring threads then read
// neighbouring float4s, which no bank has to serve twice.
template <int kSize>
__device__ void read_rows(float (&values)[kSize / 16], const float (&row)[kSize + 4], int first) {
#pragma unroll
  for (int g = 0; g < kSize / 64; ++g) {
    const float4 four = *reinterpret_cast<const float4*>(&row[g * 64 + first * 4]);
    values[4 * g] = four.x, values[4 * g + 1] = four.y;
    values[4 * g + 2] = four.z, values[4 * g + 3] = four.w;
  }
}

// One block computes kSize x kSize values of out, each thread kSize / 16 squared of them in
// registers: a value read from shared memory serves 4 or 8 products. Two tiles of each factor take
// turns: while one is multiplied, the next is on its way from memory in registers, and one barrier
// a step is enough.
template <int kSize, Inner kInnerA, Inner kInnerB, bool kVector, class Real, class Finish>
__global__ void __launch_bounds__(kRegisterThreads)
    register_tiles_kernel(Operand<Real> a, Operand<Real> b, Finish finish, Split split) {
  constexpr int kDepth = kRegisterDepth<kSize>, kMine = kSize / 16;
  __shared__ __align__(16) float tile_a[2][kDepth][kSize + 4];
  __shared__ __align__(16) float tile_b[2][kDepth][kSize + 4];
  const int row0 = blockIdx.x * kSize, col0 = blockIdx.y * kSize;
  const int begin = blockIdx.z * split.depth, end = min(a.K, begin + split.depth);
  const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
  const Quad qa = my_quad<kSize, kInnerA>(), qb = my_quad<kSize, kInnerB>();
  float sums[kMine][kMine] = {};
  float next_a[4], next_b[4];
  fetch<kInnerA, kVector>(next_a, a, row0 + qa.row, begin + qa.k, end);
  fetch<kInnerB, kVector>(next_b, b, col0 + qb.row, begin + qb.k, end);
  int turn = 0;
  for (int k0 = begin; k0 < end; k0 += kDepth, turn ^= 1) {
    put<kInnerA, kDepth, kSize>(tile_a[turn], qa, next_a);
    put<kInnerB, kDepth, kSize>(tile_b[turn], qb, next_b);
    __syncthreads();  // these tiles are complete, and nobody reads the others any more
    fetch<kInnerA, kVector>(next_a, a, row0 + qa.row, k0 + kDepth + qa.k, end);
    fetch<kInnerB, kVector>(next_b, b, col0 + qb.row, k0 + kDepth + qb.k, end);
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      float of_a[kMine], of_b[kMine];
      read_rows<kSize>(of_a, tile_a[turn][k], ty);
      read_rows<kSize>(of_b, tile_b[turn][k], tx);
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
#pragma unroll
        for (int j = 0; j < kMine; ++j) sums[i][j] += of_a[i] * of_b[j];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
#pragma unroll
    for (int j = 0; j < kMine; ++j) {
      const int m = row0 + i / 4 * 64 + ty * 4 + i % 4, n = col0 + j / 4 * 64 + tx * 4 + j % 4;
      finish_value(finish, split, m, n, a.rows, b.rows, sums[i][j]);
    }
  }
}

}  // namespace tinygpt::cuda
