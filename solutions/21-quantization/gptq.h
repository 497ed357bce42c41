// Lesson 21: GPTQ, rounding that looks at the inputs.
#pragma once

#include "tinygpt/ops/quantized.h"

namespace tinygpt::ref {

// Contract: tinygpt/ops/quantized.h.
GptqQuantize gptq_quantize;

// a [n, n], symmetric and positive definite, in and out: becomes the upper triangular U with
//
//   U^T U = a^-1
//
// and zeros below the diagonal. Throws Error where a is not positive definite.
void inverse_factor(double* a, int n);

}  // namespace tinygpt::ref
