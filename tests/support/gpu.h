// A GPU for tests that are of no use without one.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "solutions/table_cuda.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::test {

// Ends the program with ctest's code for a test that was skipped: nothing was tested on a GPU.
[[noreturn]] inline void end_as_skipped(const std::string& why) {
  std::printf("skipped: no test ran on a GPU: %s\n", why.c_str());
  std::fflush(stdout);
  std::_Exit(77);
}

#if defined(TINYGPT_HAS_CUDA)
inline Memory gpu_memory_or_skip() {
  const std::string problem = ref_cuda::unusable();
  if (!problem.empty()) end_as_skipped(problem);
  return simt::gpu_memory();
}
#endif

}  // namespace tinygpt::test
