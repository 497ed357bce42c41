// The fast implementation for CPUs: blocked, vectorised, threaded, fused.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::cpu {

// A copy of the reference table in which every operator that is done faster here is replaced. Where
// a build has several levels of instructions, the kernels are those of the chosen one (levels.h).
Ops<float> ops();

}  // namespace tinygpt::cpu
