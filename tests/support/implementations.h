// The implementations that every operator's tests run on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/ops/ops.h"

namespace tinygpt::test {

// Where an implementation runs, as reports name it. What cannot run here is no Implementation: it
// is listed as skipped, and why.
enum class Device { host, emulated, gpu };

struct Implementation {
  std::string name;
  Ops<float> ops;
  Device device = Device::host;
  Memory memory = host_memory();
  bool exact_bounds = false;  // buffers are allocations of their own size: a checker knows the rest
};

// The environment's TINYGPT_TEST_DEVICES=gpu leaves out the emulator, and ends the program with
// code 77 (skipped) where there is no GPU; emulated leaves out the GPU.
std::vector<Implementation> implementations();

// Those whose linear layers multiply operands rounded to bf16 (tinygpt/cpu/table.h): the
// processor's.
std::vector<Implementation> bf16_product_implementations();

// In check mode every access costs, and the largest shapes are there for what the processor's
// kernels cut at: those of CUDA cut at hundreds of values.
inline bool too_much_to_watch(const Implementation& i, std::int64_t values,
                              std::int64_t most = 20'000) {
  return i.exact_bounds && values > most;
}

struct Skipped {
  std::string name, why;
};
std::vector<Skipped> skipped_implementations();

}  // namespace tinygpt::test
