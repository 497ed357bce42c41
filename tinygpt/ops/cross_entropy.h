// Cross-entropy of the softmax of logits against one right class a row, in nats.
//
//   lse[n]    = log sum_v exp(logits[n, v])           (the maximum taken out, as in softmax.h)
//   losses[n] = lse[n] - logits[n, targets[n]]        = -log softmax(logits[n])[targets[n]]
//
// A target of kIgnoreTarget has loss 0 and no gradient (padding, prompts).
#pragma once

namespace tinygpt {

inline constexpr int kIgnoreTarget = -1;

// losses  [N]     written
// lse     [N]     written, saved for the backward pass
// logits  [N, V]
// targets [N]     0 <= targets[n] < V, or kIgnoreTarget
template <class Real>
using CrossEntropyForward = void(float* losses, float* lse, const Real* logits, const int* targets,
                                 int N, int V);

// Softmax and cross-entropy together have a gradient that needs neither of them apart:
//   dlogits[n, v] += scale * (exp(logits[n, v] - lse[n]) - (v == targets[n]))
//
// dlogits [N, V]  accumulates; if it is logits itself, it is replaced instead:
//                 dlogits[n, v] = (that value), and 0 in ignored rows
// scale           the gradient of the result by losses[n]: 1 / (number of targets) for a mean
template <class Real>
using SoftmaxCrossEntropyBackward = void(Real* dlogits, const Real* logits, const float* lse,
                                         const int* targets, int N, int V, float scale);

}  // namespace tinygpt
