// Gated unit with the SiLU (swish) as its gate.
// Shazeer: "GLU Variants Improve Transformer" (2020), equation 5 (SwiGLU, beta = 1, no biases).
//
//   silu(z)   = z / (1 + exp(-z))
//   out[n, h] = silu(x[n, h]) * x[n, H + h]
//
// Each row of x holds the H gates first and the H values ("up") after them, as one linear layer of
// 2 H outputs leaves them.
#pragma once

namespace tinygpt {

// out [N, H]    written; overlaps nothing
// x   [N, 2 H]  gate | up
template <class Real>
using SwigluForward = void(Real* out, const Real* x, int N, int H);

// With s = 1 / (1 + exp(-gate)):
//   dx[n, h]     += dout[n, h] * up[n, h] * s * (1 + gate[n, h] * (1 - s))
//   dx[n, H + h] += dout[n, h] * gate[n, h] * s
//
// dx [N, 2 H]  accumulates
template <class Real>
using SwigluBackward = void(Real* dx, const Real* dout, const Real* x, int N, int H);

}  // namespace tinygpt
