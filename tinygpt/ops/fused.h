// Fused operators: optional entries of the table. Each equals a composition of plain operators, to
// rounding, and spares a pass over memory. The model uses one where the table has it.
#pragma once

namespace tinygpt {

// pre = x W^T + b,  out = gelu(pre)                       (linear.h, then gelu.h)
//
// out, pre [N, OC]  written; pre is saved for the backward pass
// The rest as in LinearForward.
template <class Real>
using LinearGeluForward = void(Real* out, Real* pre, const Real* x, const Real* weight,
                               const Real* bias, float* scratch, int N, int C, int OC);

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
