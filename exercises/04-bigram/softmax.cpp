#include "exercises/04-bigram/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/ops/cross_entropy.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// out[n, v] = exp(x[n, v]) / sum_w exp(x[n, w])
//
// out [N, V]: written; may be x itself. x [N, V]: any size of value, -inf too (probability 0).
void softmax_forward(float* out, const float* x, int N, int V) {
  // your code: 04.softmax_forward
  throw NotImplemented("04.softmax_forward");
  // end of your code
}

// Differentiates out[v] = exp(x[v]) / sum_w exp(x[w]). Raising x[v] raises out[v], but it also
// raises the sum that all of them are divided by: hence the second term, the same for every v.
void softmax_backward(float* dx, const float* dout, const float* out, int N, int V) {
  for (int n = 0; n < N; ++n) {
    const std::int64_t row = std::int64_t{n} * V;
    double dot = 0.0;
    for (int v = 0; v < V; ++v) dot += double{out[row + v]} * dout[row + v];
    for (int v = 0; v < V; ++v) {
      dx[row + v] += out[row + v] * (dout[row + v] - static_cast<float>(dot));
    }
  }
}

// losses[n] = lse[n] - logits[n, targets[n]],  lse[n] = log sum_v exp(logits[n, v])
//
// losses, lse [N]: written. logits [N, V]. targets [N]: a class each, or kIgnoreTarget (loss 0, and
// lse as in every row).
void cross_entropy_forward(float* losses, float* lse, const float* logits, const int* targets,
                           int N, int V) {
  // your code: 04.cross_entropy_forward
  throw NotImplemented("04.cross_entropy_forward");
  // end of your code
}

// Differentiates losses[n] = lse[n] - logits[n, target]. The first term's derivative by logits[v]
// is the probability of v, the second's is 1 at the target: what the model said minus what was
// right, times scale.
//
// dlogits [N, V]: accumulates; where it is logits itself, it is replaced. Ignored rows add 0.
void softmax_cross_entropy_backward(float* dlogits, const float* logits, const float* lse,
                                    const int* targets, int N, int V, float scale) {
  // your code: 04.softmax_cross_entropy_backward
  throw NotImplemented("04.softmax_cross_entropy_backward");
  // end of your code
}

}  // namespace tinygpt::mine
