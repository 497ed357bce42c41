#include "solutions/04-bigram/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt::ref {

// out[n, v] = exp(x[n, v]) / sum_w exp(x[n, w])
//
// out [N, V]: written; may be x itself. x [N, V]: any size of value, -inf too (probability 0).
void softmax_forward(float* out, const float* x, int N, int V) {
  // your code: 04.softmax_forward
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * V;
    float* out_n = out + std::int64_t{n} * V;
    // Without the maximum, exp(89) is already infinite in float. With it, the largest term is 1.
    const float largest = *std::max_element(x_n, x_n + V);
    double sum = 0.0;
    for (int v = 0; v < V; ++v) {
      out_n[v] = std::exp(x_n[v] - largest);
      sum += out_n[v];
    }
    for (int v = 0; v < V; ++v) out_n[v] = static_cast<float>(out_n[v] / sum);
  }
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
  for (int n = 0; n < N; ++n) {
    const float* logits_n = logits + std::int64_t{n} * V;
    const float largest = *std::max_element(logits_n, logits_n + V);
    double sum = 0.0;
    for (int v = 0; v < V; ++v) sum += std::exp(logits_n[v] - largest);
    lse[n] = largest + static_cast<float>(std::log(sum));
    // Taken from the largest first: large logits that nearly cancel must not lose their digits.
    losses[n] = targets[n] == kIgnoreTarget
                    ? 0.0f
                    : static_cast<float>(std::log(sum)) - (logits_n[targets[n]] - largest);
  }
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
  const bool in_place = dlogits == logits;
  for (int n = 0; n < N; ++n) {
    const bool ignored = targets[n] == kIgnoreTarget;
    for (int v = 0; v < V; ++v) {
      const std::int64_t i = std::int64_t{n} * V + v;
      const float probability = std::exp(logits[i] - lse[n]);
      const float wanted = v == targets[n] ? 1.0f : 0.0f;
      const float d = ignored ? 0.0f : scale * (probability - wanted);
      dlogits[i] = in_place ? d : dlogits[i] + d;
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
