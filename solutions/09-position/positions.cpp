#include <cmath>
#include <cstdint>

#include "solutions/09-position/position.h"

namespace tinygpt::ref {

// out[b, t, c] = x[b, t, c] + weight[start + t, c]
void learned_positions_forward(float* out, const float* x, const float* weight, int B, int T, int C,
                               int start) {
  for (int b = 0; b < B; ++b) {
    for (int t = 0; t < T; ++t) {
      const std::int64_t row = (std::int64_t{b} * T + t) * C;
      const float* weight_t = weight + (std::int64_t{start} + t) * C;
      for (int c = 0; c < C; ++c) out[row + c] = x[row + c] + weight_t[c];
    }
  }
}

// Differentiates out[b, t, c] = x[b, t, c] + weight[start + t, c]: place t serves every sequence of
// the batch, so its gradient is the sum over b.
void learned_positions_backward(float* dweight, const float* dout, int B, int T, int C, int start) {
  for (int b = 0; b < B; ++b) {
    for (int t = 0; t < T; ++t) {
      const float* dout_bt = dout + (std::int64_t{b} * T + t) * C;
      float* dweight_t = dweight + (std::int64_t{start} + t) * C;
      for (int c = 0; c < C; ++c) dweight_t[c] += dout_bt[c];
    }
  }
}

// table[t, 2 i] = sin(t / base^(2 i / C)),  table[t, 2 i + 1] = cos(the same angle)
void sinusoidal_positions(float* table, int T, int C, float base) {
  for (int c = 0; c < C; ++c) {
    const int pair = c / 2;
    const double frequency = std::pow(double{base}, -2.0 * pair / C);
    for (int t = 0; t < T; ++t) {
      const double angle = t * frequency;
      const double value = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
      table[std::int64_t{t} * C + c] = static_cast<float>(value);
    }
  }
}

}  // namespace tinygpt::ref
