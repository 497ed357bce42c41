// Fused operators: optional entries of the table. Each equals a composition of plain operators, to
// rounding, and spares a pass over memory. The model uses one where the table has it.
#pragma once

#include <cstdint>

#include "tinygpt/ops/adamw.h"
#include "tinygpt/ops/attention.h"

namespace tinygpt {

// pre = x W^T + b,  out = gelu(pre)                       (linear.h, then gelu.h)
//
// out, pre [N, OC]  written; pre is saved for the backward pass
// The rest as in LinearForward.
template <class Real>
using LinearGeluForward = void(Real* out, Real* pre, const Real* x, const Real* weight,
                               const Real* bias, float* scratch, int N, int C, int OC);

// The backward pass of a linear layer where no gradient came before (linear.h, on zeros):
//   dx = dY W,  dW = dY^T X,  db = column sums of dY
//
// dx      [N, C]   written; nullptr where it is not needed
// pre     [N, C]   where x = gelu(pre), dx is the gradient by pre: dx = (dY W) gelu'(pre)
//                  (then gelu.h); nullptr: x is what it is
// dweight [OC, C]  written, or added to where add_to_weights; nullptr for frozen weights
// dbias   [OC]     likewise; nullptr for none
// The rest as in LinearBackward.
template <class Real>
using LinearBackwardWrite = void(Real* dx, float* dweight, float* dbias, const Real* dout,
                                 const Real* x, const Real* pre, const Real* weight, float* scratch,
                                 int N, int C, int OC, bool add_to_weights);

// AttentionBackward where no gradient came before: dqkv is written.
template <class Real>
using AttentionBackwardWrite = AttentionBackward<Real>;

// AdamwStep with the gradient that clip_gradients would leave (gradient_norm.h); grad itself stays
// as it is.
//
// norm     [1]  of all gradients
// max_norm      0: no clipping
template <class Real>
using AdamwClippedStep = void(Real* param, float* master, float* m, float* v, const float* grad,
                              const float* norm, float max_norm, std::int64_t n,
                              const AdamwSettings& settings);

// sum = a + b,  out = layernorm(sum)                      (residual.h, then layernorm.h)
//
// sum [N, C]  written; may be a itself
// The rest as in LayernormForward.
template <class Real>
using ResidualLayernormForward = void(Real* out, Real* sum, float* mean, float* rstd, const Real* a,
                                      const Real* b, const Real* weight, const Real* bias, int N,
                                      int C, float eps);

// sum = a + b,  out = rmsnorm(sum)                        (residual.h, then rmsnorm.h)
template <class Real>
using ResidualRmsnormForward = void(Real* out, Real* sum, float* rstd, const Real* a, const Real* b,
                                    const Real* weight, int N, int C, float eps);

// out = x W^T + bias + scale (x A^T) B^T                  (linear.h, then lora.h)
//
// out [N, OC]  written
// The rest as in LoraForward, for an adapter of all rows of the weight.
template <class Real>
using LinearLoraForward = void(Real* out, float* ax, const Real* x, const Real* weight,
                               const Real* bias, const Real* a, const Real* b, float* scratch,
                               int N, int C, int OC, int rank, float scale);

}  // namespace tinygpt
