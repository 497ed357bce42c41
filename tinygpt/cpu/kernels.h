// The fast operators, declared by their contracts' function types (tinygpt/ops).
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::cpu {

LinearForward<float> linear_forward;
LinearBackward<float> linear_backward;
LinearScratchSize linear_scratch_size;
LinearGeluForward<float> linear_gelu_forward;

}  // namespace tinygpt::cpu
