#include <cmath>
#include <cstdint>

#include "exercises/09-position/position.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// table[t, 2 i] = sin(t / base^(2 i / C)),  table[t, 2 i + 1] = cos(the same angle)
//
// table [T, C]  written; an odd C ends with a sine
// Angles are computed in double: rounding a large one to float would be the whole error.
void sinusoidal_positions(float* table, int T, int C, float base) {
  // your code: 09.sinusoidal_positions
  throw NotImplemented("09.sinusoidal_positions");
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
  throw NotImplemented("09.learned_positions_forward");
  // end of your code
}

// Differentiates out[b, t, c] = x[b, t, c] + weight[start + t, c] by the weight.
//
// dweight [max_T, C]  accumulates
// dout [B, T, C]
// (The gradient by x is dout itself: a sum passes it on as it is.)
void learned_positions_backward(float* dweight, const float* dout, int B, int T, int C, int start) {
  // your code: 09.learned_positions_backward
  throw NotImplemented("09.learned_positions_backward");
  // end of your code
}

}  // namespace tinygpt::mine
