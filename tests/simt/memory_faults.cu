#include "tests/simt/device_array.cuh"
#include "tests/simt/faults.h"
#include "tinygpt/simt/cuda.h"

namespace test_cuda {
namespace {

__global__ void race_between_blocks_kernel(float* out, bool repaired) {
  const int i = repaired ? blockIdx.x * blockDim.x + threadIdx.x : threadIdx.x;
  out[i] = blockIdx.x;  // planted: race between blocks
}

void race_between_blocks(bool repaired) {
  DeviceArray<float> out(96);
  race_between_blocks_kernel<<<3, 32>>>(out.data, repaired);
}

template <bool Repaired>
__global__ void histogram_kernel(int* counts, const int* values, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  if (Repaired) {
    atomicAdd(&counts[values[i]], 1);
  } else {
    counts[values[i]] += 1;  // planted: histogram without atomics
  }
}

void histogram_plain(bool repaired) {
  DeviceArray<int> counts(4), values(100);
  if (repaired) {
    histogram_kernel<true><<<2, 64>>>(counts.data, values.data, 100);
  } else {
    histogram_kernel<false><<<2, 64>>>(counts.data, values.data, 100);
  }
}

__global__ void mixed_atomic_kernel(int* count, int* out, bool repaired) {
  atomicAdd(count, 1);  // planted: atomic counter that others read
  if (repaired) __syncthreads();
  out[threadIdx.x] = *count;  // partner of: atomic counter that others read
}

void mixed_atomic(bool repaired) {
  DeviceArray<int> count(1), out(32);
  mixed_atomic_kernel<<<1, 32>>>(count.data, out.data, repaired);
}

__global__ void read_past_the_end_kernel(float* out, const float* x, int n, bool repaired) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int next = repaired ? min(i + 1, n - 1) : i + 1;
  out[i] = x[next] - x[i];  // planted: read past the end
}

void read_past_the_end(bool repaired) {
  DeviceArray<float> out(128), x(128);
  read_past_the_end_kernel<<<4, 32>>>(out.data, x.data, 128, repaired);
}

__global__ void write_past_the_end_kernel(float* out, bool repaired) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[repaired ? i : i + 1] = 1;  // planted: write past the end
}

void write_past_the_end(bool repaired) {
  DeviceArray<float> out(128);
  write_past_the_end_kernel<<<4, 32>>>(out.data, repaired);
}

__global__ void write_before_the_start_kernel(float* out, bool repaired) {
  const int i = static_cast<int>(threadIdx.x) - (repaired ? 0 : 1);
  out[i] = 1;  // planted: write before the start
}

void write_before_the_start(bool repaired) {
  DeviceArray<float> out(32);
  write_before_the_start_kernel<<<1, 32>>>(out.data, repaired);
}

__global__ void tail_block_kernel(float* out, int n, bool repaired) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (repaired && i >= n) return;
  out[i] = 1;  // planted: no guard in the tail block
}

void tail_block(bool repaired) {
  DeviceArray<float> out(100);
  tail_block_kernel<<<4, 32>>>(out.data, 100, repaired);
}

__global__ void misaligned_vector_kernel(float* out, const float* x) {
  const float4 v =
      *reinterpret_cast<const float4*>(x + 4 * threadIdx.x);  // planted: misaligned float4
  out[threadIdx.x] = v.x + v.y + v.z + v.w;
}

void misaligned_vector(bool repaired) {
  DeviceArray<float> out(32), x(132);
  misaligned_vector_kernel<<<1, 32>>>(out.data, x.data + (repaired ? 4 : 1));
}

__global__ void misaligned_shared_kernel(float* out, int pitch) {
  __shared__ __align__(16) float tile[2 * 6];
  for (int i = threadIdx.x; i < 12; i += 2) tile[i] = 1;
  __syncthreads();
  const float2 v =
      *reinterpret_cast<float2*>(&tile[threadIdx.x * pitch]);  // planted: misaligned float2
  out[threadIdx.x] = v.x + v.y;
}

void misaligned_shared(bool repaired) {
  DeviceArray<float> out(2);
  misaligned_shared_kernel<<<1, 2>>>(out.data, repaired ? 6 : 5);
}

__global__ void never_written_kernel(float* out, const float* x) {
  out[threadIdx.x] = x[threadIdx.x];  // planted: never written
}

void never_written(bool repaired) {
  DeviceArray<float> out(32), x(32, repaired);
  never_written_kernel<<<1, 32>>>(out.data, x.data);
}

__global__ void use_after_free_kernel(float* out, const float* x) {
  out[threadIdx.x] = x[threadIdx.x];  // planted: use after free
}

void use_after_free(bool repaired) {
  DeviceArray<float> out(32);
  auto* x = new DeviceArray<float>(32);
  const float* const data = x->data;
  if (!repaired) delete x;
  use_after_free_kernel<<<1, 32>>>(out.data, data);
  if (repaired) delete x;
}

__global__ void host_pointer_kernel(float* out, const float* x) {
  out[threadIdx.x] = x[threadIdx.x];  // planted: host pointer
}

void host_pointer(bool repaired) {
  DeviceArray<float> out(32), x(32);
  float* const host = new float[32]();
  host_pointer_kernel<<<1, 32>>>(out.data, repaired ? x.data : host);
  delete[] host;
}

}  // namespace

const Planted kMemoryFaults[12] = {
    {"race between blocks", race_between_blocks},
    {"histogram without atomics", histogram_plain},
    {"atomic counter that others read", mixed_atomic},
    {"read past the end", read_past_the_end},
    {"write past the end", write_past_the_end},
    {"write before the start", write_before_the_start},
    {"no guard in the tail block", tail_block},
    {"misaligned float4", misaligned_vector},
    {"misaligned float2", misaligned_shared},
    {"never written", never_written},
    {"use after free", use_after_free},
    {"host pointer", host_pointer},
};

}  // namespace test_cuda
