// Operators with bf16 in memory beside the same with float. Only CUDA code knows the type, so the
// work is done in a .cu file and its results come back as floats.
#pragma once

#include <string>
#include <vector>

#include "tinygpt/ops/memory.h"

namespace tinygpt::test_cuda {

struct Outcome {
  std::string what;
  std::vector<float> in_float, in_bf16;  // from the same inputs, which bf16 holds exactly
};

// Every operator of the table whose arithmetic has to convert: the reference's, or the fast
// table's.
std::vector<Outcome> bf16_beside_float(const Memory& memory, bool fast);

}  // namespace tinygpt::test_cuda
