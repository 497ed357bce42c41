// Quantized blocks on the device: how their bytes are read, and how activations become some.
#pragma once

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/quantized.h"

namespace tinygpt::mine_cuda {

__device__ inline float to_float(Float16 x) { return __half2float(__ushort_as_half(x.bits)); }

// Four bytes as a word, from an address that is even and no more: a block is 34 or 18 bytes long.
__device__ inline int load4(const void* from) {
  typedef std::uint16_t Half __attribute__((may_alias));
  const auto* halves = static_cast<const Half*>(from);
  return static_cast<int>(halves[0] | static_cast<unsigned>(halves[1]) << 16);
}

// The lane's value of a block of activations in eight bits; the block's scale in half precision to
// d. A warp has a block, a lane has a value. What no scale can hold becomes NaN.
__device__ inline int quantize_lane(Float16& d, float x) {
  const float scale = warp_reduce<Max>(fabsf(x)) / 127.0f;
  d.bits = __half_as_ushort(__float2half(scale));
  // fmaxf leaves NaN out, so the lanes are asked.
  if (__any_sync(kAllLanes, isnan(x)) || !isfinite(to_float(d))) {
    d.bits = 0x7e00;  // NaN
    return 0;
  }
  constexpr float kSmallestNormal = 0x1p-126f;
  return __float2int_rn(x * (scale >= kSmallestNormal ? 1.0f / scale : 0.0f));
}

}  // namespace tinygpt::mine_cuda
