// The kernels are written once and compiled for a level: a set of instructions. A native build has
// one level, that of the machine that it is built on. A portable build has several, and takes at
// run time the best that the processor and the operating system support.
#pragma once

#include <string>
#include <vector>

#include "tinygpt/ops/ops.h"

namespace tinygpt::cpu {

// One level of this build.
struct Level {
  std::string name;     // "native", or "baseline", "avx2", ... (CpuLevels.cmake)
  std::string missing;  // instructions that it needs and this processor has not, or ""
};

// All levels of this build, the best last.
std::vector<Level> levels();

// The name of the level that computes: the one that the environment variable TINYGPT_CPU names, or
// else the best that can run here. Throws Error where TINYGPT_CPU names none that can.
std::string chosen_level();

// One level's kernels; ops() of table.h hands out the chosen one's. Throws Error where this build
// has no such level or this processor cannot run it.
Ops<float> level_ops(const std::string& name);
Ops<float> level_bf16_product_ops(const std::string& name);

}  // namespace tinygpt::cpu
