// Lesson 21: AWQ, scales that protect the weights that matter.
#pragma once

#include "tinygpt/ops/quantized.h"

namespace tinygpt::mine {

// Contract: tinygpt/ops/quantized.h.
AwqScales awq_scales;

// sum_o e_o H e_o^T with e_o = rounded[o] - weight[o]: by how much the outputs of a linear layer
// change, summed over the inputs that H was made from.
//
// rounded, weight [rows, cols]; hessian [cols, cols]
double output_error(const float* rounded, const float* weight, const double* hessian, int rows,
                    int cols);

}  // namespace tinygpt::mine
