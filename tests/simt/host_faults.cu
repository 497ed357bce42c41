#include "tests/simt/device_array.cuh"
#include "tests/simt/faults.h"
#include "tinygpt/simt/cuda.h"

namespace test_cuda {
namespace {

__global__ void fill_kernel(float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = 1;
}

__global__ void fill_through_shared_kernel(float* out) {
  extern __shared__ float scratch[];
  scratch[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = scratch[threadIdx.x];
}

void too_many_threads(bool repaired) {
  DeviceArray<float> out(2048);
  fill_kernel<<<1, repaired ? 1024 : 2048>>>(out.data, 2048);  // planted: too many threads
  cudaGetLastError();
}

void empty_grid(bool repaired) {
  DeviceArray<float> out(32);
  fill_kernel<<<repaired ? 1 : 0, 32>>>(out.data, 32);  // planted: a grid without blocks
  cudaGetLastError();
}

void too_much_shared(bool repaired) {
  DeviceArray<float> out(32);
  const int bytes = repaired ? 48 << 10 : (48 << 10) + 4;
  fill_through_shared_kernel<<<1, 32, bytes>>>(out.data);  // planted: too much shared memory
  cudaGetLastError();
}

void unchecked_launch(bool repaired) {
  DeviceArray<float> out(32);
  fill_kernel<<<1, dim3(32, 1, repaired ? 1 : 65)>>>(out.data, 32);  // planted: unchecked launch
  float host = 0;
  cudaMemcpy(&host, out.data, sizeof host, cudaMemcpyDeviceToHost);
}

void double_free(bool repaired) {
  float* data = nullptr;
  cudaMalloc(&data, 128);
  cudaFree(data);
  if (repaired) data = nullptr;
  cudaFree(data);  // planted: double free
  cudaGetLastError();
}

void free_inside(bool repaired) {
  float* data = nullptr;
  cudaMalloc(&data, 128);
  if (!repaired) cudaFree(data + 4);  // planted: free inside of an allocation
  cudaFree(data);
  cudaGetLastError();
}

void copy_of_nothing(bool repaired) {
  DeviceArray<float> x(32, false);
  if (repaired) cudaMemset(x.data, 0, 32 * sizeof(float));
  float host[32];
  const auto kind = cudaMemcpyDeviceToHost;
  cudaMemcpy(host, x.data, sizeof host, kind);  // planted: copy of what was never written
}

}  // namespace

const Planted kHostFaults[7] = {
    {"too many threads", too_many_threads},
    {"a grid without blocks", empty_grid},
    {"too much shared memory", too_much_shared},
    {"unchecked launch", unchecked_launch},
    {"double free", double_free},
    {"free inside of an allocation", free_inside},
    {"copy of what was never written", copy_of_nothing},
};

}  // namespace test_cuda
