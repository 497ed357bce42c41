// __half: IEEE's half precision as a format of memory. Kernels compute in float, so of CUDA's
// arithmetic on it nothing is here.
#pragma once

#include "tinygpt/core/float16.h"
#include "tinygpt/simt/host/types.h"

struct __half {
  unsigned short bits;
};

TINYGPT_SIMT_INLINE __half __ushort_as_half(unsigned short bits) { return {bits}; }
TINYGPT_SIMT_INLINE unsigned short __half_as_ushort(__half x) { return x.bits; }
TINYGPT_SIMT_INLINE float __half2float(__half x) { return tinygpt::Float16::from_bits(x.bits); }
TINYGPT_SIMT_INLINE __half __float2half(float x) { return {tinygpt::Float16(x).bits}; }
