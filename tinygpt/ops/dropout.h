// Dropout: each value is zeroed with probability p and the others grow by 1 / (1 - p), so that the
// expectation stays. Srivastava et al.: "Dropout" (2014), section 4 (there scaled at test time).
//
//   u(i)   = uniform number i of the stream (seed, stream), see core/random.h:
//            uniform_from_bits(philox4x32(seed, i / 4, stream)[i % 4])
//   out[i] = u(i) < p ? 0 : x[i] / (1 - p)
//
// Nothing is saved: the backward pass computes the same numbers again.
#pragma once

#include <cstdint>

namespace tinygpt {

// out [n]  written; may be x itself
// x   [n]
// p        0 <= p < 1
template <class Real>
using DropoutForward = void(Real* out, const Real* x, std::int64_t n, float p, std::uint64_t seed,
                            std::uint64_t stream);

// dx[i] += u(i) < p ? 0 : dout[i] / (1 - p)
//
// dx [n]  accumulates; if it is dout itself, it is replaced instead: dx[i] = (that value)
template <class Real>
using DropoutBackward = void(Real* dx, const Real* dout, std::int64_t n, float p,
                             std::uint64_t seed, std::uint64_t stream);

}  // namespace tinygpt
