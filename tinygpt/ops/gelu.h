// Gaussian error linear unit, in the tanh form that GPT-2 uses ("gelu_new").
// Hendrycks, Gimpel: "Gaussian Error Linear Units" (2016), section 2.
//
//   u(x)   = sqrt(2 / pi) * (x + 0.044715 x^3)
//   out[i] = 0.5 * x[i] * (1 + tanh(u(x[i])))
#pragma once

#include <cstdint>

namespace tinygpt {

// out [n]  written; may be x itself only if no backward follows
// x   [n]
template <class Real>
using GeluForward = void(Real* out, const Real* x, std::int64_t n);

// With t = tanh(u(x)) and u'(x) = sqrt(2 / pi) * (1 + 3 * 0.044715 x^2):
//   dx[i] += dout[i] * (0.5 * (1 + t) + 0.5 * x[i] * (1 - t^2) * u'(x[i]))
//
// dx [n]  accumulates; overlaps neither dout nor x
template <class Real>
using GeluBackward = void(Real* dx, const Real* dout, const Real* x, std::int64_t n);

}  // namespace tinygpt
