#include "tinygpt/simt/memory.h"

#include <fmt/format.h>

#include "tinygpt/core/error.h"
#include "tinygpt/simt/host/runtime.h"

namespace tinygpt::simt {
namespace {

void require(cudaError_t error, const char* what) {
  check(error == cudaSuccess,
        [&] { return fmt::format("emulated device: {}: {}", what, cudaGetErrorString(error)); });
}

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  if (bytes == 0) return data;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error != cudaSuccess) cudaGetLastError();
  check(
      error == cudaSuccess,
      "not enough memory on the emulated device: choose a smaller model, or less at once: --batch "
      "and --context of a training, the prompt and --max-tokens of a text");
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

Memory emulated_memory() { return {allocate, release, zero, copy_in, copy_out, available}; }

}  // namespace tinygpt::simt
