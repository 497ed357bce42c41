// The kernels with every access watched, in place of implementations.cpp's: for the program that
// runs the operators' tests in the emulator's check mode. A fault ends the test with its line.
#include <cstdlib>

#include "solutions/table_cuda.h"
#include "tests/support/implementations.h"
#include "tinygpt/cuda/table.h"
#include "tinygpt/simt/check.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::test {

// Threads run in the order that TINYGPT_CHECK_SEED says; 0 is their natural order.
std::vector<Implementation> implementations() {
  const char* seed = std::getenv("TINYGPT_CHECK_SEED");
  simt::set_check_seed(seed != nullptr ? std::strtoull(seed, nullptr, 10) : 0);
  return {{.name = "ref_cuda (emulated, checked)",
           .ops = ref_cuda_checked::ops(),
           .device = Device::emulated,
           .memory = simt::emulated_memory(),
           .exact_bounds = true},
          {.name = "cuda (emulated, checked)",
           .ops = cuda_checked::ops(),
           .device = Device::emulated,
           .memory = simt::emulated_memory(),
           .exact_bounds = true}};
}

// They are the processor's, which nothing watches.
std::vector<Implementation> bf16_product_implementations() { return {}; }

std::vector<Skipped> skipped_implementations() { return {}; }

}  // namespace tinygpt::test
