#include "tests/simt/device_array.cuh"
#include "tests/simt/faults.h"
#include "tinygpt/simt/cuda.h"

namespace test_cuda {
namespace {

constexpr unsigned kAll = 0xffffffffu;

__global__ void absent_lanes_kernel(float* out, unsigned n, bool repaired) {
  float value = threadIdx.x;
  if (!repaired && threadIdx.x >= n) return;
  value += __shfl_down_sync(kAll, value, 1);  // planted: shuffle with absent lanes
  if (threadIdx.x < n) out[threadIdx.x] = value;
}

void absent_lanes(bool repaired) {
  DeviceArray<float> out(32);
  absent_lanes_kernel<<<1, 32>>>(out.data, 20, repaired);
}

__global__ void short_warp_kernel(float* out) {
  const float value = threadIdx.x;
  out[threadIdx.x] = __shfl_xor_sync(kAll, value, 1);  // planted: warp that is not full
}

void short_warp(bool repaired) {
  DeviceArray<float> out(64);
  short_warp_kernel<<<1, repaired ? 64 : 48>>>(out.data);
}

__global__ void wrong_mask_kernel(int* out, bool repaired) {
  int value = threadIdx.x;
  const unsigned mask = repaired ? kAll : 0xffffu;
  value += __shfl_xor_sync(mask, value, 1);  // planted: mask without the caller
  out[threadIdx.x] = value;
}

void wrong_mask(bool repaired) {
  DeviceArray<int> out(32);
  wrong_mask_kernel<<<1, 32>>>(out.data, repaired);
}

__global__ void lane_outside_mask_kernel(int* out, bool repaired) {
  int value = threadIdx.x;
  if (threadIdx.x < 16) {
    value = __shfl_sync(0xffffu, value, repaired ? 3 : 20);  // planted: lane outside of the mask
  }
  out[threadIdx.x] = value;
}

void lane_outside_mask(bool repaired) {
  DeviceArray<int> out(32);
  lane_outside_mask_kernel<<<1, 32>>>(out.data, repaired);
}

__global__ void masks_disagree_kernel(int* out, bool repaired) {
  const unsigned mask = repaired || threadIdx.x < 16 ? kAll : 0xffff0001u;
  out[threadIdx.x] = __reduce_add_sync(mask, 1);  // planted: masks that disagree
}

void masks_disagree(bool repaired) {
  DeviceArray<int> out(32);
  masks_disagree_kernel<<<1, 32>>>(out.data, repaired);
}

template <bool Repaired>
__global__ void missing_syncwarp_kernel(int* out) {
  __shared__ int line[64];
  const int lane = threadIdx.x % 32, first = threadIdx.x - lane;
  line[threadIdx.x] = lane;  // partner of: missing __syncwarp
  if (Repaired) __syncwarp();
  out[threadIdx.x] = line[first + (lane == 0 ? 0 : lane - 1)];  // planted: missing __syncwarp
}

void missing_syncwarp(bool repaired) {
  DeviceArray<int> out(64);
  if (repaired) {
    missing_syncwarp_kernel<true><<<1, 64>>>(out.data);
  } else {
    missing_syncwarp_kernel<false><<<1, 64>>>(out.data);
  }
}

}  // namespace

const Planted kWarpFaults[6] = {
    {"shuffle with absent lanes", absent_lanes}, {"warp that is not full", short_warp},
    {"mask without the caller", wrong_mask},     {"lane outside of the mask", lane_outside_mask},
    {"masks that disagree", masks_disagree},     {"missing __syncwarp", missing_syncwarp},
};

}  // namespace test_cuda
