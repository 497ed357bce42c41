// The reference implementation: the clear version of every operator, one lesson each.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::ref {

Ops<float> ops();

}  // namespace tinygpt::ref
