// Root mean square normalisation: LayerNorm without the mean and without the shift.
// Zhang, Sennrich: "Root Mean Square Layer Normalization" (2019), equation 4.
//
//   rstd[n]   = 1 / sqrt(sum_c x[n, c]^2 / C + eps)
//   out[n, c] = x[n, c] * rstd[n] * weight[c]
#pragma once

#include "tinygpt/ops/layernorm.h"

namespace tinygpt {

// out    [N, C]  written; may be x itself only if no backward follows
// rstd   [N]     written, saved for the backward pass
// x      [N, C]
// weight [C]
template <class Real>
using RmsnormForward = void(Real* out, float* rstd, const Real* x, const Real* weight, int N, int C,
                            float eps);

// With g = dout * weight:
//   dx[n, c]   += rstd[n] * (g[n, c] - x[n, c] * rstd[n]^2 * mean_c(g[n] * x[n]))
//   dweight[c] += sum_n dout[n, c] * x[n, c] * rstd[n]
//
// dx      [N, C]  accumulates
// dweight [C]     accumulates
// scratch         rmsnorm_scratch_size(N, C) floats; its type is NormScratchSize (layernorm.h)
template <class Real>
using RmsnormBackward = void(Real* dx, float* dweight, const Real* dout, const Real* x,
                             const Real* weight, const float* rstd, float* scratch, int N, int C);

}  // namespace tinygpt
