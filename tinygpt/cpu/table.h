// The fast implementation for CPUs: blocked, vectorised, threaded, fused.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::cpu {

// A copy of the reference table in which every operator that is done faster here is replaced.
Ops<float> ops();

}  // namespace tinygpt::cpu
