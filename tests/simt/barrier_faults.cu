#include "tests/simt/device_array.cuh"
#include "tests/simt/faults.h"
#include "tinygpt/simt/cuda.h"

namespace test_cuda {
namespace {

template <bool Repaired>
__global__ void missing_barrier_kernel(float* out, const float* x) {
  __shared__ float line[64];
  line[threadIdx.x] = x[threadIdx.x];  // partner of: missing barrier
  if (Repaired) __syncthreads();
  out[threadIdx.x] = line[threadIdx.x / 2];  // planted: missing barrier
}

void missing_barrier(bool repaired) {
  DeviceArray<float> out(64), x(64);
  if (repaired) {
    missing_barrier_kernel<true><<<1, 64>>>(out.data, x.data);
  } else {
    missing_barrier_kernel<false><<<1, 64>>>(out.data, x.data);
  }
}

template <bool Repaired>
__global__ void missing_second_barrier_kernel(float* out, const float* x, int tiles) {
  __shared__ float tile[32];
  float sum = 0;
  for (int t = 0; t < tiles; ++t) {
    tile[threadIdx.x] = x[t * 32 + threadIdx.x];  // partner of: missing second barrier
    __syncthreads();
    for (int i = 0; i < 32; ++i) sum += tile[i];  // planted: missing second barrier
    if (Repaired) __syncthreads();
  }
  out[threadIdx.x] = sum;
}

void missing_second_barrier(bool repaired) {
  DeviceArray<float> out(32), x(96);
  if (repaired) {
    missing_second_barrier_kernel<true><<<1, 32>>>(out.data, x.data, 3);
  } else {
    missing_second_barrier_kernel<false><<<1, 32>>>(out.data, x.data, 3);
  }
}

// Each thread's value moves one place to the left, in place.
template <bool Repaired>
__global__ void shift_in_place_kernel(float* x) {
  __shared__ float line[65];
  line[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x == 0) line[64] = 0;
  __syncthreads();
  const float next = line[threadIdx.x + 1];  // partner of: shift in place
  if (Repaired) __syncthreads();
  line[threadIdx.x] = next;  // planted: shift in place
  __syncthreads();
  x[threadIdx.x] = line[threadIdx.x];
}

void shift_in_place(bool repaired) {
  DeviceArray<float> x(64);
  if (repaired) {
    shift_in_place_kernel<true><<<1, 64>>>(x.data);
  } else {
    shift_in_place_kernel<false><<<1, 64>>>(x.data);
  }
}

__global__ void divergent_branch_kernel(float* out, bool repaired) {
  __shared__ float line[64];
  line[threadIdx.x] = threadIdx.x;
  if (repaired) {
    __syncthreads();
  } else if (threadIdx.x < 32) {
    __syncthreads();  // planted: barrier in a divergent branch
  }
  out[threadIdx.x] = line[threadIdx.x];
}

void divergent_branch(bool repaired) {
  DeviceArray<float> out(64);
  divergent_branch_kernel<<<1, 64>>>(out.data, repaired);
}

__global__ void two_barriers_kernel(float* out, bool repaired) {
  out[threadIdx.x] = 0;
  if (repaired) {
    __syncthreads();
  } else if (threadIdx.x % 2 == 0) {
    __syncthreads();  // partner of: two barriers for one
  } else {
    __syncthreads();  // planted: two barriers for one
  }
  out[63 - threadIdx.x] += 1;
}

void two_barriers(bool repaired) {
  DeviceArray<float> out(64);
  two_barriers_kernel<<<1, 64>>>(out.data, repaired);
}

__global__ void early_return_kernel(float* out, unsigned n, bool repaired) {
  __shared__ float line[64];
  const bool inside = threadIdx.x < n;
  if (!repaired && !inside) return;
  line[threadIdx.x] = 1;
  __syncthreads();  // planted: early return before a barrier
  if (inside) out[blockIdx.x * 64 + threadIdx.x] = line[0];
}

void early_return(bool repaired) {
  DeviceArray<float> out(128);
  early_return_kernel<<<2, 64>>>(out.data, 50, repaired);
}

__global__ void shared_overrun_kernel(float* out, bool repaired) {
  __shared__ float line[32];
  __shared__ float other[32];
  other[threadIdx.x] = 1;
  line[threadIdx.x + (repaired ? 0 : 1)] = 2;  // planted: shared array overrun
  __syncthreads();
  out[blockIdx.x * 32 + threadIdx.x] = line[threadIdx.x] + other[threadIdx.x];
}

void shared_overrun(bool repaired) {
  DeviceArray<float> out(64);
  shared_overrun_kernel<<<2, 32>>>(out.data, repaired);
}

__global__ void dynamic_overrun_kernel(float* out) {
  extern __shared__ float scratch[];
  scratch[threadIdx.x] = 2;  // planted: too little dynamic shared memory
  __syncthreads();
  out[threadIdx.x] = scratch[blockDim.x - 1 - threadIdx.x];
}

void dynamic_overrun(bool repaired) {
  DeviceArray<float> out(64);
  const int floats = repaired ? 64 : 60;
  dynamic_overrun_kernel<<<1, 64, floats * sizeof(float)>>>(out.data);
}

__global__ void uninitialised_shared_kernel(float* out, bool repaired) {
  __shared__ float partial[8];
  if (threadIdx.x < (repaired ? 8 : 7)) partial[threadIdx.x] = 1;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < 8; ++i) sum += partial[i];  // planted: uninitialised shared memory
  out[threadIdx.x] = sum;
}

void uninitialised_shared(bool repaired) {
  DeviceArray<float> out(32);
  uninitialised_shared_kernel<<<1, 32>>>(out.data, repaired);
}

}  // namespace

const Planted kBarrierFaults[9] = {
    {"missing barrier", missing_barrier},
    {"missing second barrier", missing_second_barrier},
    {"shift in place", shift_in_place},
    {"barrier in a divergent branch", divergent_branch},
    {"two barriers for one", two_barriers},
    {"early return before a barrier", early_return},
    {"shared array overrun", shared_overrun},
    {"too little dynamic shared memory", dynamic_overrun},
    {"uninitialised shared memory", uninitialised_shared},
};

}  // namespace test_cuda
