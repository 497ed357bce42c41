#include "tests/support/implementations.h"

#include "solutions/table.h"
#include "solutions/table_cuda.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::test {
namespace {

#if defined(TINYGPT_HAS_CUDA)
std::string gpu_problem() { return ref_cuda::unusable(); }

void add_gpu(std::vector<Implementation>& all) {
  if (!gpu_problem().empty()) return;
  all.push_back({"ref_cuda (gpu)", ref_cuda::ops(), Device::gpu, simt::gpu_memory()});
}
#else
std::string gpu_problem() { return "this build is without the CUDA toolkit"; }

void add_gpu(std::vector<Implementation>&) {}
#endif

}  // namespace

std::vector<Implementation> implementations() {
  std::vector<Implementation> all = {{.name = "ref", .ops = ref::ops()},
                                     {.name = "cpu", .ops = cpu::ops()},
                                     {.name = "ref_cuda (emulated)",
                                      .ops = ref_cuda_emulated::ops(),
                                      .device = Device::emulated,
                                      .memory = simt::emulated_memory()}};
  add_gpu(all);
  return all;
}

std::vector<Skipped> skipped_implementations() {
  const std::string problem = gpu_problem();
  if (problem.empty()) return {};
  return {{"ref_cuda (gpu)", problem}};
}

}  // namespace tinygpt::test
