// One matrix of a model, quantized: what adapt/quantize.cpp walks over.
#pragma once

#include "tinygpt/adapt/calibration.h"
#include "tinygpt/adapt/quantize.h"

namespace tinygpt {

// Rounds the matrix w [rows, cols] in place, as the settings say, and reports. `inputs` may be
// nullptr where the method needs none. Where GGUF has the format, `encoded` is filled.
MatrixReport quantize_matrix(float* w, int rows, int cols, const LinearInputs* inputs,
                             const QuantizeSettings& settings, EncodedMatrix& encoded);

// The embedding table or the head, in one of GGUF's types, by round to nearest.
MatrixReport quantize_table(float* w, int rows, int cols, GgufType type,
                            const Quantizers& quantizers, EncodedMatrix& encoded);

// AWQ's scales for a layer with these inputs; the chosen power goes to alpha. Scales are compared
// by the rounding that quantize_matrix does with the same settings, on 128 of the matrix's rows.
std::vector<float> find_awq_scales(const float* w, int rows, int cols, const LinearInputs& inputs,
                                   const QuantizeSettings& settings, double& alpha);

// Moves scales out of a layer's inputs: columns of w times s, and the sums of its inputs as they
// are from then on. Whoever makes the inputs must divide by s.
void scale_columns(float* w, int rows, int cols, const std::vector<float>& s, LinearInputs& inputs);

}  // namespace tinygpt
