#include "solutions/04-bigram/softmax.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt::ref {

// out[n, v] = exp(x[n, v] - max_v x[n]) / sum_v exp(x[n, v] - max_v x[n])
void softmax_forward(float* out, const float* x, int N, int V) {
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
void cross_entropy_forward(float* losses, float* lse, const float* logits, const int* targets,
                           int N, int V) {
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
}

// Differentiates losses[n] = lse[n] - logits[n, target]. The first term's derivative by logits[v]
// is the probability of v, the second's is 1 at the target: what the model said minus what was
// right.
void softmax_cross_entropy_backward(float* dlogits, const float* logits, const float* lse,
                                    const int* targets, int N, int V, float scale) {
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
}

}  // namespace tinygpt::ref
