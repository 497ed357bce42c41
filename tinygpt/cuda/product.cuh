// Launches matrix products: how large a tile, in how many parts K, and which loads are allowed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tinygpt/cuda/register_tiles.cuh"
#include "tinygpt/cuda/tensor_tiles.cuh"

namespace tinygpt::cuda {

// From this many large tiles on, a GPU has work enough with them; below, four times as many small
// ones keep more of it busy. Constants and not the device's size, so that a sum is rounded alike
// on every device.
inline constexpr std::int64_t kEnoughTiles = 64;
inline constexpr int kSmallTile = 64, kLargeTile = 128;
inline constexpr int kLeastDepth = 256;  // of a part of K: a shorter one is not worth its detour

struct Plan {
  int size, splits, depth;
};

// Few tiles and a long K, as for the gradient of a small weight over a large batch: K is split
// among blocks, each leaves its sums in scratch, and these are added in one fixed order. Atomic
// additions would need no scratch, but come in another order, and rounding, every time.
inline Plan plan_product(int M, int N, int K) {
  const auto tiles = [&](int size) { return ceil_div(M, size) * ceil_div(N, size); };
  const int size = tiles(kLargeTile) >= kEnoughTiles ? kLargeTile : kSmallTile;
  const std::int64_t wanted = std::min<std::int64_t>(
      kEnoughTiles / std::max<std::int64_t>(1, tiles(size)), K / kLeastDepth);
  const std::int64_t splits = std::max<std::int64_t>(1, wanted);
  const std::int64_t depth = std::max<std::int64_t>(32, ceil_div(ceil_div(K, splits), 32) * 32);
  return {size, static_cast<int>(std::max<std::int64_t>(1, ceil_div(K, depth))),
          static_cast<int>(depth)};
}

inline std::int64_t product_scratch(int M, int N, int K) {
  const Plan plan = plan_product(M, N, K);
  return plan.splits > 1 ? std::int64_t{plan.splits} * M * N : 0;
}

template <class Finish>
__global__ void add_parts_kernel(Finish finish, const float* parts, int splits, std::int64_t count,
                                 int N) {
  for (std::int64_t at = ref_cuda::first_index(); at < count; at += ref_cuda::index_stride()) {
    float sum = 0.0f;
    for (int s = 0; s < splits; ++s) sum += parts[s * count + at];
    finish(at, static_cast<int>(at % N), sum);
  }
}

// Whether `bytes` at once may be read anywhere along the inner extent.
template <Inner kInner, class Real>
bool aligned(const Operand<Real>& a, int bytes) {
  const int extent = kInner == Inner::k ? a.K : a.rows;
  return reinterpret_cast<std::uintptr_t>(a.data) % bytes == 0 &&
         extent % (bytes / static_cast<int>(sizeof(Real))) == 0;
}

template <int kSize, Inner kA, Inner kB, class Real, class Finish>
void launch_register_tiles(dim3 grid, Operand<Real> a, Operand<Real> b, Finish finish,
                           Split split) {
  if constexpr (sizeof(Real) == sizeof(float)) {
    if (aligned<kA>(a, 16) && aligned<kB>(b, 16)) {
      register_tiles_kernel<kSize, kA, kB, true><<<grid, kRegisterThreads>>>(a, b, finish, split);
      return;
    }
  }
  register_tiles_kernel<kSize, kA, kB, false><<<grid, kRegisterThreads>>>(a, b, finish, split);
}

template <int kSize, Inner kA, Inner kB, class Real, class Finish>
void launch_tiles(dim3 grid, Operand<Real> a, Operand<Real> b, Finish finish, Split split) {
  if constexpr (sizeof(Real) == 2) {
    if (has_tensor_code(tensor_tiles_kernel<kSize, kA, kB, true, Finish>)) {
      constexpr int kThreads = kTensorThreads<kSize>;
      if (aligned<kA>(a, 16) && aligned<kB>(b, 16)) {
        tensor_tiles_kernel<kSize, kA, kB, true><<<grid, kThreads>>>(a, b, finish, split);
      } else {
        tensor_tiles_kernel<kSize, kA, kB, false><<<grid, kThreads>>>(a, b, finish, split);
      }
      return;
    }
  }
  launch_register_tiles<kSize, kA, kB>(grid, a, b, finish, split);
}

// finish(m * N + n, n, sum_k a(m, k) * b(n, k)) for all m and n
template <Inner kA, Inner kB, class Real, class Finish>
void product(Operand<Real> a, Operand<Real> b, Finish finish, float* scratch, const char* what) {
  const int M = a.rows, N = b.rows;
  if (M == 0 || N == 0) return;
  const Plan plan = plan_product(M, N, a.K);
  const Split split{scratch, plan.depth};
  // Rows go along x: a grid may be 2^31 blocks wide, but only 65,535 high.
  const dim3 grid(static_cast<unsigned>(ceil_div(M, plan.size)),
                  static_cast<unsigned>(ceil_div(N, plan.size)),
                  static_cast<unsigned>(plan.splits));
  if (plan.size == kLargeTile) {
    launch_tiles<kLargeTile, kA, kB>(grid, a, b, finish, split);
  } else {
    launch_tiles<kSmallTile, kA, kB>(grid, a, b, finish, split);
  }
  ref_cuda::check_launch(what);
  if (plan.splits == 1) return;
  const std::int64_t count = std::int64_t{M} * N;
  add_parts_kernel<<<ref_cuda::blocks_for(count), ref_cuda::kThreads>>>(finish, scratch,
                                                                        plan.splits, count, N);
  ref_cuda::check_launch(what);
}

}  // namespace tinygpt::cuda
