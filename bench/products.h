// Matrix products on a device that no table of floats has: bf16, and cuBLAS beside both.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tinygpt::bench {

// The three products of a linear layer (tinygpt/ops/linear.h), without a bias. Pointers are the
// device's: floats, or with bf16 = true bf16, but for dweight, which is float.
struct Products {
  std::string who;
  bool bf16 = false;
  std::function<void(void* out, const void* x, const void* weight, int N, int C, int OC)> forward;
  std::function<void(void* dx, const void* dout, const void* weight, int N, int C, int OC)> dx;
  std::function<void(float* dweight, const void* dout, const void* x, int N, int C, int OC)>
      dweight;
};

// Ours in bf16 first. device is "cuda" or "emulated"; cuBLAS is there where this program was built
// with it and the device is real.
std::vector<Products> device_products(const std::string& device);

// Two of cuBLAS, of floats (without tf32) and of bf16; none where it was not found.
std::vector<Products> cublas_products();

}  // namespace tinygpt::bench
