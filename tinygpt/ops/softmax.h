// Softmax over the last axis.
//
//   out[n, v] = exp(x[n, v] - max_v x[n]) / sum_v exp(x[n, v] - max_v x[n])
//
// The maximum changes nothing but keeps exp from overflowing. -inf is a valid input (probability
// 0) as long as a row holds one finite value.
#pragma once

namespace tinygpt {

// out [N, V]  written; may be x itself
// x   [N, V]
template <class Real>
using SoftmaxForward = void(Real* out, const Real* x, int N, int V);

// dx[n, v] += out[n, v] * (dout[n, v] - sum_w out[n, w] * dout[n, w])
//
// dx [N, V]  accumulates; overlaps nothing
template <class Real>
using SoftmaxBackward = void(Real* dx, const Real* dout, const Real* out, int N, int V);

}  // namespace tinygpt
