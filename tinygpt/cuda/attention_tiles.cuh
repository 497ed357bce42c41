// What the attention kernels multiply with: tiles of positions in shared memory, and strips of 16
// rows in the registers of a warp.
#pragma once

#include <cstdint>
#include <cstring>

#include "solutions/kernel.cuh"
#include "tinygpt/simt/tensor_core.h"

namespace tinygpt::cuda {

using ref_cuda::kAllLanes;
using ref_cuda::kWarp;
using ref_cuda::to_float;

// 16 rows of kColumns values, spread over a warp as mma leaves its sums: lane l has rows l / 4 and
// l / 4 + 8, and of every eight columns 2 (l % 4) and the next.
inline constexpr int kStripRows = 16;
template <int kColumns>
struct Strip {
  float at[kColumns / 8][4];
};

// visit(half, column, value) for each of the lane's values; half 1 is the row eight below.
template <int kColumns, class Visit>
__device__ void each(Strip<kColumns>& strip, Visit&& visit) {
#pragma unroll
  for (int j = 0; j < kColumns / 8; ++j) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      visit(e / 2, 8 * j + threadIdx.x % 4 * 2 + e % 2, strip.at[j][e]);
    }
  }
}

// a *= b, value by value
template <int kColumns>
__device__ void multiply_each(Strip<kColumns>& a, const Strip<kColumns>& b) {
#pragma unroll
  for (int j = 0; j < kColumns / 8; ++j) {
#pragma unroll
    for (int e = 0; e < 4; ++e) a.at[j][e] *= b.at[j][e];
  }
}

// Four neighbouring lanes share a row.
__device__ inline float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}
__device__ inline float row_sum(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}

// `count` rows of HS values, `stride` apart: one head's queries, keys, values or outputs.
template <class Real>
struct Rows {
  Real* first;
  std::int64_t stride;
  int count, HS;
};

// Value d of row t, and 0 outside, where a product is as if there were nothing.
template <class Real>
__device__ Real value_or_zero(const Rows<const Real>& rows, int t, int d) {
  return t < rows.count && d < rows.HS ? rows.first[t * rows.stride + d] : Real{};
}

// Where 16 bytes of a tile's line are in shared memory: XOR with the line's number puts what eight
// lanes read at once, the same chunk of eight lines, into different banks, without padding.
template <int kChunks>
__device__ constexpr int tile_swizzle(int line) {
  constexpr int kSpan = kChunks < 8 ? kChunks : 8;  // 8 / kSpan lines fill all banks
  return line / (8 / kSpan) % kSpan;
}
template <int kChunks>
__device__ int tile_place(int line, int chunk) {
  return line * kChunks + (chunk ^ tile_swizzle<kChunks>(line));
}

// The kernels are written once, over one of two kinds of cores. kHS is the size of a head, rounded
// up; a block has kRows rows of the result, 16 a warp, and passes over the other positions by
// kColumns, of which kStages tiles go round.

// bf16 on tensor cores, of compute capability 8.0 and up. Tiles are brought by cp.async, past the
// registers, and P, which one product leaves and the next one takes, never leaves them: mma's sums
// are already where its left factor has to be.
template <int kHS>
struct TensorCores {
  static constexpr bool kTensor = true;
  static constexpr int kRows = 64, kColumns = kHS <= 64 ? 64 : 32;
  static constexpr int kForwardStages = 2, kBackwardStages = kHS <= 64 ? 2 : 1;
  static constexpr int kValues = 8, kChunks = kHS / kValues;
  using Chunk = uint4;

  template <int kLines, bool kAligned>
  static __device__ void start(Chunk* tile, const Rows<const Bfloat16>& rows, int first) {
    for (int i = threadIdx.x; i < kLines * kChunks; i += blockDim.x) {
      const int line = i / kChunks, t = first + line, d = i % kChunks * kValues;
      Chunk* place = tile + tile_place<kChunks>(line, i % kChunks);
      if constexpr (kAligned) {
        const bool inside = t < rows.count && d < rows.HS;
        simt::cp_async<16>(place, inside ? rows.first + t * rows.stride + d : rows.first, inside);
      } else {
        __align__(16) Bfloat16 values[kValues];
#pragma unroll
        for (int j = 0; j < kValues; ++j) values[j] = value_or_zero(rows, t, d + j);
        std::uint32_t words[4];
        memcpy(words, values, sizeof(words));
        *place = make_uint4(words[0], words[1], words[2], words[3]);
      }
    }
  }
  static __device__ void commit() { simt::cp_async_commit(); }
  template <int kPending>
  static __device__ void wait() {
    simt::cp_async_wait<kPending>();
  }

  // sums += a b^T, for 16 lines of a from `row` and all of b's
  static __device__ void multiply_lines(Strip<kColumns>& sums, const Chunk* a, int row,
                                        const Chunk* b) {
    const int lane = threadIdx.x % kWarp;
    // A head of 128 in two halves: else ptxas loads so far ahead that registers spill on sm_120.
#pragma unroll 4
    for (int k = 0; k < kHS; k += 16) {
      std::uint32_t of_a[4];
      const int line_a = row + lane / 8 % 2 * 8 + lane % 8;
      simt::ldmatrix_x4(of_a, a + tile_place<kChunks>(line_a, k / 8 + lane / 16));
#pragma unroll
      for (int j = 0; j < kColumns / 8; j += 2) {
        std::uint32_t of_b[4];
        const int line_b = 8 * j + lane / 16 * 8 + lane % 8;
        simt::ldmatrix_x4(of_b, b + tile_place<kChunks>(line_b, k / 8 + lane / 8 % 2));
        multiply_two(sums.at[j], sums.at[j + 1], of_a, of_b);
      }
    }
  }

  // sums += p b, with p rounded to bf16 on the way
  static __device__ void multiply_strip(Strip<kHS>& sums, const Strip<kColumns>& p,
                                        const Chunk* b) {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int k = 0; k < kColumns; k += 16) {
      std::uint32_t of_p[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* two = p.at[k / 8 + i / 2] + i % 2 * 2;
        const __nv_bfloat162 pair = __floats2bfloat162_rn(two[0], two[1]);
        memcpy(&of_p[i], &pair, sizeof(pair));
      }
#pragma unroll
      for (int j = 0; j < kHS / 8; j += 2) {
        std::uint32_t of_b[4];
        const int line_b = k + lane / 8 % 2 * 8 + lane % 8;
        simt::ldmatrix_x4_trans(of_b, b + tile_place<kChunks>(line_b, j + lane / 16));
        multiply_two(sums.at[j], sums.at[j + 1], of_p, of_b);
      }
    }
  }

 private:
  static __device__ void multiply_two(float (&first)[4], float (&second)[4],
                                      const std::uint32_t (&a)[4], const std::uint32_t (&b)[4]) {
    const std::uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
    simt::mma_bf16(first, a, b0, first);
    simt::mma_bf16(second, a, b1, second);
  }
};

// The same in float, for float in memory, and for bf16 on devices before compute capability 8.0.
template <int kHS>
struct PlainCores {
  static constexpr bool kTensor = false;
  static constexpr int kRows = kHS <= 64 ? 64 : 32, kColumns = kHS <= 64 ? 32 : 16;
  static constexpr int kForwardStages = 1, kBackwardStages = 1;
  static constexpr int kValues = 4, kChunks = kHS / kValues;
  using Chunk = float4;

  template <int kLines, bool kAligned, class Real>
  static __device__ void start(Chunk* tile, const Rows<const Real>& rows, int first) {
    for (int i = threadIdx.x; i < kLines * kChunks; i += blockDim.x) {
      const int line = i / kChunks, t = first + line, d = i % kChunks * kValues;
      float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if constexpr (kAligned && sizeof(Real) == sizeof(float)) {
        if (t < rows.count && d < rows.HS) {
          four = *reinterpret_cast<const float4*>(rows.first + t * rows.stride + d);
        }
      } else {
        four.x = to_float(value_or_zero(rows, t, d));
        four.y = to_float(value_or_zero(rows, t, d + 1));
        four.z = to_float(value_or_zero(rows, t, d + 2));
        four.w = to_float(value_or_zero(rows, t, d + 3));
      }
      tile[tile_place<kChunks>(line, i % kChunks)] = four;
    }
  }
  static __device__ void commit() {}
  template <int kPending>
  static __device__ void wait() {}

  static __device__ void multiply_lines(Strip<kColumns>& sums, const Chunk* a, int row,
                                        const Chunk* b) {
    const int member = threadIdx.x % 4, line = row + threadIdx.x % kWarp / 4;
#pragma unroll 4
    for (int k = 0; k < kChunks; ++k) {
      const float4 a0 = a[tile_place<kChunks>(line, k)], a1 = a[tile_place<kChunks>(line + 8, k)];
#pragma unroll
      for (int j = 0; j < kColumns / 8; ++j) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const float4 of_b = b[tile_place<kChunks>(8 * j + member * 2 + c, k)];
          sums.at[j][c] += dot(a0, of_b);
          sums.at[j][2 + c] += dot(a1, of_b);
        }
      }
    }
  }

  // A row of p is spread over four lanes: they pass its values round.
  static __device__ void multiply_strip(Strip<kHS>& sums, const Strip<kColumns>& p,
                                        const Chunk* b) {
    const int member = threadIdx.x % 4, first = threadIdx.x % kWarp / 4 * 4;
    const int odd = member ^ 2;
    const float2* const pairs = reinterpret_cast<const float2*>(b);
#pragma unroll
    for (int k = 0; k < kColumns; ++k) {
      // As tile_place(k, 2 j + member / 2), with all but the lane's part known to the compiler:
      // else it would keep an address for each j and k in a register.
      const int x = tile_swizzle<kChunks>(k);
      const float p0 = __shfl_sync(kAllLanes, p.at[k / 8][k % 2], first + k % 8 / 2);
      const float p1 = __shfl_sync(kAllLanes, p.at[k / 8][2 + k % 2], first + k % 8 / 2);
#pragma unroll
      for (int j = 0; j < kHS / 8; ++j) {
        const float2 two = pairs[2 * (k * kChunks + (2 * j ^ (x & ~1))) + (x % 2 ? odd : member)];
        sums.at[j][0] += p0 * two.x, sums.at[j][1] += p0 * two.y;
        sums.at[j][2] += p1 * two.x, sums.at[j][3] += p1 * two.y;
      }
    }
  }

 private:
  static __device__ float dot(const float4& a, const float4& b) {
    return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
  }
};

}  // namespace tinygpt::cuda
