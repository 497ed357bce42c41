// The adapter's first product, which the plain and the fused forward pass share.
#pragma once

#include <cstdint>

#include "exercises/kernel.cuh"

namespace tinygpt::mine_cuda {

// ax[n, r] = sum_c x[n, c] * a[r, c]
//
// One warp for each value of ax: its lanes go along the row of x and the row of a side by side, so
// both loads are 32 neighbours, and then add up what they have.
template <class Real>
__global__ void lora_down_kernel(float* ax, const Real* x, const Real* a, int N, int C, int rank) {
  const std::int64_t i = first_index() / kWarp;
  if (i >= std::int64_t{N} * rank) return;  // the whole warp
  const Real* x_n = x + i / rank * C;
  const Real* a_r = a + i % rank * C;
  float sum = 0.0f;
  for (int c = threadIdx.x % kWarp; c < C; c += kWarp) sum += to_float(x_n[c]) * to_float(a_r[c]);
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) ax[i] = sum;
}

template <class Real>
void lora_down(float* ax, const Real* x, const Real* a, int N, int C, int rank) {
  const std::int64_t threads = std::int64_t{N} * rank * kWarp;
  if (threads == 0) return;
  lora_down_kernel<<<static_cast<unsigned>(ceil_div(threads, kThreads)), kThreads>>>(ax, x, a, N, C,
                                                                                     rank);
  check_launch("lora_forward, x A^T");
}

}  // namespace tinygpt::mine_cuda
