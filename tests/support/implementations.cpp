#include "tests/support/implementations.h"

#include <cstdlib>

#include "solutions/table.h"
#include "solutions/table_cuda.h"
#include "tests/support/gpu.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/cuda/table.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::test {
namespace {

#if defined(TINYGPT_HAS_CUDA)
std::string gpu_problem() { return ref_cuda::unusable(); }

void add_gpu(std::vector<Implementation>& all) {
  if (!gpu_problem().empty()) return;
  all.push_back({"ref_cuda (gpu)", ref_cuda::ops(), Device::gpu, simt::gpu_memory()});
  all.push_back({"cuda (gpu)", cuda::ops(), Device::gpu, simt::gpu_memory()});
}
#else
std::string gpu_problem() { return "this build is without the CUDA toolkit"; }

void add_gpu(std::vector<Implementation>&) {}
#endif

// Which devices to test beside the host: "emulated", "gpu", or all that there are.
std::string asked() {
  const char* devices = std::getenv("TINYGPT_TEST_DEVICES");
  return devices != nullptr ? devices : "";
}

// AddressSanitizer takes the emulator's many small stacks for overflows of one.
std::string emulator_problem() {
#if defined(__SANITIZE_ADDRESS__)
  return "AddressSanitizer does not know the emulator's fibers";
#else
  return "";
#endif
}

}  // namespace

std::vector<Implementation> implementations() {
  std::vector<Implementation> all = {{.name = "ref", .ops = ref::ops()},
                                     {.name = "cpu", .ops = cpu::ops()}};
  if (asked() == "gpu" && !gpu_problem().empty()) end_as_skipped(gpu_problem());
  if (asked() != "gpu" && emulator_problem().empty()) {
    all.push_back({.name = "ref_cuda (emulated)",
                   .ops = ref_cuda_emulated::ops(),
                   .device = Device::emulated,
                   .memory = simt::emulated_memory()});
    all.push_back({.name = "cuda (emulated)",
                   .ops = cuda_emulated::ops(),
                   .device = Device::emulated,
                   .memory = simt::emulated_memory()});
  }
  if (asked() != "emulated") add_gpu(all);
  return all;
}

std::vector<Implementation> bf16_product_implementations() {
  if (asked() == "gpu") return {};
  return {{.name = "cpu, products of bf16", .ops = cpu::bf16_product_ops()}};
}

std::vector<Skipped> skipped_implementations() {
  std::vector<Skipped> all;
  if (const std::string problem = emulator_problem(); !problem.empty()) {
    all.push_back({"ref_cuda (emulated)", problem});
    all.push_back({"cuda (emulated)", problem});
  }
  if (const std::string problem = gpu_problem(); !problem.empty()) {
    all.push_back({"ref_cuda (gpu)", problem});
    all.push_back({"cuda (gpu)", problem});
  }
  return all;
}

}  // namespace tinygpt::test
