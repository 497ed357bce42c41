#include "exercises/00-first-steps/first_steps.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {

// y[i] += a * x[i]: given, as an example. Thread i of the whole grid has element i.
__global__ void axpy_kernel(float* y, const float* x, float a, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];  // the last block has threads too many
}

void axpy(float* y, const float* x, float a, std::int64_t n) {
  if (n == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(n, kThreads));  // rounded up: every element
  axpy_kernel<<<blocks, kThreads>>>(y, x, a, n);
  check_launch("axpy");
}

// y[i] = a * x[i]: thread i has element i.
__global__ void scale_kernel(float* y, const float* x, float a, std::int64_t n) {
  // your code on the device: 00.scale_cuda
  // end of your code
}

void scale(float* y, const float* x, float a, std::int64_t n) {
  if (n == 0) return;
  // your code: 00.scale_cuda
  throw NotImplemented("00.scale_cuda");
  // end of your code
  check_launch("scale");
}

}  // namespace tinygpt::mine_cuda
