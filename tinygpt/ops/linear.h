// Linear layer: one matrix product and a bias.
//
//   out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c]          out = x W^T + b
//
// The weight is stored [out, in], as in torch.nn.Linear. (GPT-2's files store it [in, out]; the
// reader of files transposes.)
//
// A product's factors are of the type Real as they come, but for the processor's table with
// products of bf16 (tinygpt/cpu/table.h), which rounds both to bf16 and sums in float.
#pragma once

#include <cstdint>

namespace tinygpt {

// out     [N, OC]  written
// x       [N, C]
// weight  [OC, C]
// bias    [OC], or nullptr for none
// scratch          linear_scratch_size(N, C, OC) floats
// No buffer may overlap another.
template <class Real>
using LinearForward = void(Real* out, const Real* x, const Real* weight, const Real* bias,
                           float* scratch, int N, int C, int OC);

//   dx[n, c]      += sum_o dout[n, o] * weight[o, c]             dX += dY W
//   dweight[o, c] += sum_n dout[n, o] * x[n, c]                  dW += dY^T X
//   dbias[o]      += sum_n dout[n, o]
//
// dx      [N, C]   accumulates; nullptr where it is not needed
// dweight [OC, C]  accumulates; nullptr for frozen weights
// dbias   [OC]     accumulates; nullptr for none
// scratch          linear_scratch_size(N, C, OC) floats
// No buffer may overlap another.
template <class Real>
using LinearBackward = void(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                            const Real* weight, float* scratch, int N, int C, int OC);

// Floats of scratch that forward and backward may use. It belongs to the implementation: a blocked
// product packs panels, a naive one needs nothing.
using LinearScratchSize = std::int64_t(int N, int C, int OC);

}  // namespace tinygpt
