// The table for a type of parameters and activations that only CUDA code knows.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::cuda {

// Real is float or __nv_bfloat16.
template <class Real>
Ops<Real> ops_of();

}  // namespace tinygpt::cuda
