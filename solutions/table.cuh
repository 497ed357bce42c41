// The table for either type of parameters and activations.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::ref_cuda {

// Real is float or Bfloat16.
template <class Real>
Ops<Real> ops_of();

}  // namespace tinygpt::ref_cuda
