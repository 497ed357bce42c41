// The memory of a real device. Compiled by nvcc alone.
#include <cuda_runtime.h>

#include <string>

#include "tinygpt/core/error.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::simt {
namespace {

void require(cudaError_t error, const char* what) {
  check(error == cudaSuccess,
        [&] { return std::string("CUDA: ") + what + ": " + cudaGetErrorString(error); });
}

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  if (bytes == 0) return data;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation)
    cudaGetLastError();  // it is told, and not to be told again
  check(error != cudaErrorMemoryAllocation,
        "not enough GPU memory: choose a smaller model, or less at once: --batch and --context of "
        "a training, the prompt and --max-tokens of a text");
  require(error, "allocate");
  return data;
}

void release(void* data) { require(cudaFree(data), "free"); }

void zero(void* data, std::size_t bytes) { require(cudaMemset(data, 0, bytes), "zero"); }

void copy_in(void* device, const void* host, std::size_t bytes) {
  require(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice), "copy to the device");
}

void copy_out(void* host, const void* device, std::size_t bytes) {
  require(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "copy from the device");
}

std::size_t available() {
  std::size_t free = 0, total = 0;
  require(cudaMemGetInfo(&free, &total), "free memory");
  return free;
}

}  // namespace

Memory gpu_memory() { return {allocate, release, zero, copy_in, copy_out, available}; }

}  // namespace tinygpt::simt
