// Clipping of the gradient by its global norm.
// Pascanu, Mikolov, Bengio: "On the difficulty of training recurrent neural networks" (2012),
// algorithm 1, with the norm over all parameters together.
#pragma once

#include <cstdint>

namespace tinygpt {

// norm[0] = sqrt(sum_i grad[i]^2)
//
// norm    [1]  written; stays on the device
// grad    [n]
// scratch      gradient_norm_scratch_size(n) floats
// The sum runs in a fixed order (or in double), so that equal gradients have equal norms.
using GradientNorm = void(float* norm, const float* grad, float* scratch, std::int64_t n);
using GradientNormScratchSize = std::int64_t(std::int64_t n);

// grad[i] *= max_norm / norm[0]   if norm[0] > max_norm; else nothing changes
//
// grad [n]  in and out
// norm [1]
// A norm that is not finite leaves grad as it is: the training loop sees it and stops.
using ClipGradients = void(float* grad, const float* norm, std::int64_t n, float max_norm);

}  // namespace tinygpt
