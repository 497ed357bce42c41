#include <string>

#include "solutions/table_cuda.h"
#include "tinygpt/core/error.h"
#include "tinygpt/simt/cuda.h"

// The memory of the device. Kernels and copies follow each other on one stream, the default one: a
// copy sees what the kernels before it wrote, and waits for them where it goes to the host.

namespace tinygpt::ref_cuda {
namespace {

void check_cuda(cudaError_t status, const char* what) {
  check(status == cudaSuccess,
        [&] { return std::string(what) + ": CUDA says: " + cudaGetErrorString(status); });
}

void* allocate(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) cudaGetLastError();  // said once, not at every call
  check(status != cudaErrorMemoryAllocation, [&] {
    return "the GPU has no " + std::to_string(bytes / 1'000'000) +
           " MB left for this model and batch: choose a smaller --batch, --context or model, or "
           "--device cpu";
  });
  check_cuda(status, "cudaMalloc");
  return data;
}

// Nothing is thrown: this is called where a model ends, and that may be because of an error.
void release(void* data) { cudaFree(data); }

void zero(void* data, std::size_t bytes) {
  if (bytes > 0) check_cuda(cudaMemset(data, 0, bytes), "cudaMemset");
}

void copy_in(void* device, const void* host, std::size_t bytes) {
  if (bytes > 0) {
    check_cuda(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice), "copying to the GPU");
  }
}

void copy_out(void* host, const void* device, std::size_t bytes) {
  if (bytes > 0) {
    check_cuda(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "copying from the GPU");
  }
}

}  // namespace

Memory memory() { return {allocate, release, zero, copy_in, copy_out}; }

std::string unusable() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) {
    cudaGetLastError();
    return cudaGetErrorString(status);
  }
  return devices > 0 ? "" : "no GPU was found";
}

}  // namespace tinygpt::ref_cuda
