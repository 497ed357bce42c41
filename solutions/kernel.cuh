// What the CUDA kernels of all lessons share: how many blocks to launch, bf16 in memory and float
// in registers, and sums over the threads of a warp and of a block.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/device.h"
#include "tinygpt/core/error.h"
#include "tinygpt/simt/cuda.h"

namespace tinygpt::ref_cuda {

inline constexpr int kWarp = 32;            // threads that run in step
inline constexpr unsigned kAllLanes = ~0u;  // every thread of a warp takes part
inline constexpr int kThreads = 256;  // of a block, wherever a kernel has no reason of its own

TINYGPT_HOST_DEVICE constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Throws where the kernel launched last could not start. (What goes wrong while it runs shows at
// the next copy, or at once where CUDA_LAUNCH_BLOCKING=1.)
inline void check_launch(const char* what) {
  const cudaError_t status = cudaGetLastError();
  check(status == cudaSuccess, [&] {
    const char* advice =
        status == cudaErrorMemoryAllocation ? ": choose a smaller --batch, --context or model" : "";
    return std::string(what) + ": CUDA says: " + cudaGetErrorString(status) + advice;
  });
}

// Blocks for a grid-stride loop over n values. More than these would only wait for their turn: the
// threads come round instead.
inline unsigned blocks_for(std::int64_t n) {
  constexpr std::int64_t kMost = 4096;
  return static_cast<unsigned>(std::min(ceil_div(n, kThreads), kMost));
}

// A grid-stride loop: thread i does values i, i + stride, i + 2 stride, ... Neighbouring threads
// have neighbouring values, so that the 32 loads of a warp are one piece of memory.
__device__ inline std::int64_t first_index() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t index_stride() { return std::int64_t{gridDim.x} * blockDim.x; }

// Arithmetic is float whatever memory holds.
__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bfloat16 x) {
  return __bfloat162float(__ushort_as_bfloat16(x.bits));
}

__device__ inline void store(float* to, float x) { *to = x; }
__device__ inline void store(Bfloat16* to, float x) {
  to->bits = __bfloat16_as_ushort(__float2bfloat16(x));
}

// *to += x
template <class Real>
__device__ void add(Real* to, float x) {
  store(to, to_float(*to) + x);
}

struct Sum {
  template <class T>
  __device__ static T combine(T a, T b) {
    return a + b;
  }
  template <class T>
  __device__ static T none() {
    return T(0);
  }
};

struct Max {
  __device__ static float combine(float a, float b) { return fmaxf(a, b); }
  template <class T>
  __device__ static T none() {
    return -INFINITY;
  }
};

// One value of each lane, combined, to all 32 lanes. After the first exchange each lane holds what
// two lanes had, then four, ..., then 32. The order is fixed, and so is the rounding.
template <class Operation, class T>
__device__ T warp_reduce(T value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = Operation::combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// One value of each thread, combined, to all threads of the block: warps first, by exchanging
// registers, then what the warps have, by way of shared memory. The block is whole warps.
template <class Operation, class T>
__device__ T block_reduce(T value) {
  __shared__ T of_warp[kWarp];  // a block has at most 32 warps
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  value = warp_reduce<Operation>(value);
  __syncthreads();  // whoever still reads what an earlier call left here
  if (lane == 0) of_warp[warp] = value;
  __syncthreads();
  const int warps = blockDim.x / kWarp;
  return warp_reduce<Operation>(lane < warps ? of_warp[lane] : Operation::template none<T>());
}

template <class T>
__device__ T warp_sum(T value) {
  return warp_reduce<Sum>(value);
}

template <class T>
__device__ T block_sum(T value) {
  return block_reduce<Sum>(value);
}

__device__ inline float block_max(float value) { return block_reduce<Max>(value); }

}  // namespace tinygpt::ref_cuda
