// Residual connection: the input is added back to what a layer made of it.
// He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition" (2015), equation 1.
//
//   out[i] = a[i] + b[i]
#pragma once

#include <cstdint>

namespace tinygpt {

// out [n]  written; may be a or b itself
// a, b [n]
template <class Real>
using ResidualForward = void(Real* out, const Real* a, const Real* b, std::int64_t n);

// da[i] += dout[i],  db[i] += dout[i]
//
// da [n]  accumulates. It may be dout itself: then the gradient of the sum already is the gradient
//         of a, and nothing is added to it. (A residual stream is one buffer with many branches.)
// db [n]  accumulates; overlaps neither
template <class Real>
using ResidualBackward = void(Real* da, Real* db, const Real* dout, std::int64_t n);

}  // namespace tinygpt
