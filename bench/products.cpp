#include "bench/products.h"

#include <memory>

#include "bench/bf16.h"
#include "bench/device.h"
#include "tinygpt/core/error.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::bench {
namespace {

Products ours(const Bf16Linear& linear, const Memory& memory) {
  const auto scratch = std::make_shared<DeviceBuffer>();
  const auto space = [=](int N, int C, int OC) {
    const std::int64_t bytes = linear.scratch_size(N, C, OC) * std::int64_t{sizeof(float)};
    if (scratch->bytes() < bytes) *scratch = DeviceBuffer(memory, bytes);
    return floats(*scratch);
  };
  return {"tinygpt", true,
          [=](void* out, const void* x, const void* weight, int N, int C, int OC) {
            linear.forward(out, x, weight, space(N, C, OC), N, C, OC);
          },
          [=](void* dx, const void* dout, const void* weight, int N, int C, int OC) {
            linear.backward(dx, nullptr, dout, nullptr, weight, space(N, C, OC), N, C, OC);
          },
          [=](float* dweight, const void* dout, const void* x, int N, int C, int OC) {
            linear.backward(nullptr, dweight, dout, x, nullptr, space(N, C, OC), N, C, OC);
          }};
}

}  // namespace

#if !defined(TINYGPT_HAS_CUBLAS)
std::vector<Products> cublas_products() { return {}; }
#endif

std::vector<Products> device_products(const std::string& device) {
  std::vector<Products> all;
  if (device == "emulated") {
    all.push_back(ours(cuda_emulated::bf16_linear(), simt::emulated_memory()));
  }
#if defined(TINYGPT_HAS_CUDA)
  if (device == "cuda") {
    all.push_back(ours(cuda::bf16_linear(), simt::gpu_memory()));
    for (const Products& products : cublas_products()) all.push_back(products);
  }
#endif
  return all;
}

}  // namespace tinygpt::bench
