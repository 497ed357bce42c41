#include "tests/simt/profile_kernels.h"

#include "tinygpt/simt/cuda.h"

namespace test_cuda {
namespace {

__global__ void copy_stride_kernel(float* out, const float* x, int stride) {
  const float value = x[threadIdx.x * stride];  // load
  out[threadIdx.x] = value;                     // store
}

__global__ void copy_float4_kernel(float4* out, const float4* x) {
  out[threadIdx.x] = x[threadIdx.x];
}

template <int Pitch>
__global__ void read_columns_kernel(float* out) {
  __shared__ float tile[32][Pitch];
  for (int row = 0; row < 32; ++row) tile[row][threadIdx.x] = row;
  __syncthreads();
  float sum = 0;
  for (int column = 0; column < 32; ++column) {
    sum += tile[threadIdx.x][column];  // column read
  }
  out[threadIdx.x] = sum;
}

__global__ void half_of_the_warp_kernel(float* out) {
  out[threadIdx.x] = 1;
  if (threadIdx.x % 2 == 0) out[threadIdx.x] = 2;  // half
}

}  // namespace

void copy_stride(float* out, const float* x, int stride) {
  copy_stride_kernel<<<1, 32>>>(out, x, stride);
}

void copy_float4(float* out, const float* x) {
  copy_float4_kernel<<<1, 32>>>(reinterpret_cast<float4*>(out), reinterpret_cast<const float4*>(x));
}

void read_columns(float* out, int padded) {
  if (padded) {
    read_columns_kernel<33><<<1, 32>>>(out);
  } else {
    read_columns_kernel<32><<<1, 32>>>(out);
  }
}

void half_of_the_warp(float* out) { half_of_the_warp_kernel<<<1, 32>>>(out); }

}  // namespace test_cuda
