#include <cmath>
#include <cstdint>

#include "solutions/09-position/position.h"

namespace tinygpt::ref {

// table[t, 2 i] = sin(t / base^(2 i / C)),  table[t, 2 i + 1] = cos(the same angle)
//
// table [T, C]  written; an odd C ends with a sine
// Angles are computed in double: rounding a large one to float would be the whole error.
void sinusoidal_positions(float* table, int T, int C, float base) {
  // your code: 09.sinusoidal_positions
  for (int c = 0; c < C; ++c) {
    const int pair = c / 2;
    const double frequency = std::pow(double{base}, -2.0 * pair / C);
    for (int t = 0; t < T; ++t) {
      const double angle = t * frequency;
      const double value = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
      table[std::int64_t{t} * C + c] = static_cast<float>(value);
    }
  }
  // end of your code
}

// out[b, t, c] = x[b, t, c] + weight[start + t, c]
//
// out [B, T, C]  written; may be x itself
// x [B, T, C], weight [max_T, C]: a row for each place, start + T <= max_T.
// start is the place of t = 0. It is not 0 where a text goes on that was begun before.
void learned_positions_forward(float* out, const float* x, const float* weight, int B, int T, int C,
                               int start) {
  // your code: 09.learned_positions_forward
  for (int b = 0; b < B; ++b) {
    for (int t = 0; t < T; ++t) {
      const std::int64_t row = (std::int64_t{b} * T + t) * C;
      const float* weight_t = weight + (std::int64_t{start} + t) * C;
      for (int c = 0; c < C; ++c) out[row + c] = x[row + c] + weight_t[c];
    }
  }
  // end of your code
}

// Differentiates out[b, t, c] = x[b, t, c] + weight[start + t, c] by the weight.
//
// dweight [max_T, C]  accumulates
// dout [B, T, C]
// (The gradient by x is dout itself: a sum passes it on as it is.)
void learned_positions_backward(float* dweight, const float* dout, int B, int T, int C, int start) {
  // your code: 09.learned_positions_backward
  // A place serves every sequence of the batch, so it collects from all of them.
  for (int b = 0; b < B; ++b) {
    for (int t = 0; t < T; ++t) {
      const float* dout_bt = dout + (std::int64_t{b} * T + t) * C;
      float* dweight_t = dweight + (std::int64_t{start} + t) * C;
      for (int c = 0; c < C; ++c) dweight_t[c] += dout_bt[c];
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
