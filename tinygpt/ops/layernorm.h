// Layer normalisation: each row gets mean 0 and variance 1, then a learned scale and shift.
// Ba, Kiros, Hinton: "Layer Normalization" (2016), equation 4 (there with the sum over a layer).
//
//   mean[n]   = sum_c x[n, c] / C
//   var[n]    = sum_c (x[n, c] - mean[n])^2 / C            (biased: divided by C)
//   rstd[n]   = 1 / sqrt(var[n] + eps)                     (eps inside the root)
//   out[n, c] = (x[n, c] - mean[n]) * rstd[n] * weight[c] + bias[c]
#pragma once

#include <cstdint>

namespace tinygpt {

// out        [N, C]  written; may be x itself only if no backward follows
// mean, rstd [N]     written, saved for the backward pass (float whatever Real is)
// x          [N, C]
// weight     [C]
// bias       [C], or nullptr for none
template <class Real>
using LayernormForward = void(Real* out, float* mean, float* rstd, const Real* x,
                              const Real* weight, const Real* bias, int N, int C, float eps);

// With xhat = (x - mean) * rstd and g = dout * weight:
//   dx[n, c]   += rstd[n] * (g[n, c] - mean_c(g[n]) - xhat[n, c] * mean_c(g[n] * xhat[n]))
//   dweight[c] += sum_n dout[n, c] * xhat[n, c]
//   dbias[c]   += sum_n dout[n, c]
//
// dx             [N, C]  accumulates
// dweight, dbias [C]     accumulate; dbias may be nullptr
// scratch                layernorm_scratch_size(N, C) floats
template <class Real>
using LayernormBackward = void(Real* dx, float* dweight, float* dbias, const Real* dout,
                               const Real* x, const Real* weight, const float* mean,
                               const float* rstd, float* scratch, int N, int C);

// Floats of scratch that the backward of LayerNorm or of RMSNorm may use (partial sums over rows).
using NormScratchSize = std::int64_t(int N, int C);

}  // namespace tinygpt
