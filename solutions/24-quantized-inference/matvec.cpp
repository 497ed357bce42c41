#include <cstdint>

#include "solutions/24-quantized-inference/quantized.h"

namespace tinygpt::ref {

// out[o] = sum_b dw[o, b] * dx[b] * sum_i qw[o, b, i] * qx[b, i]
//
// out [rows] written, weight [rows, cols / 32], x [cols / 32]; cols is a multiple of 32. The inner
// sum is one of integers. d is a Float16, which turns itself into a float.
void matvec_q8_0(float* out, const BlockQ8_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q8_0
  const std::int64_t blocks = cols / kQuantBlock;
  for (std::int64_t o = 0; o < rows; ++o) {
    const BlockQ8_0* w_o = weight + o * blocks;
    float sum = 0.0f;
    for (std::int64_t b = 0; b < blocks; ++b) {
      // 32 products of at most 127 * 127 each: far within 32 bits, and exact, as no float sum is.
      int dot = 0;
      for (int i = 0; i < kQuantBlock; ++i) dot += w_o[b].q[i] * x[b].q[i];
      sum += w_o[b].d * x[b].d * static_cast<float>(dot);
    }
    out[o] = sum;
  }
  // end of your code
}

// qw is what is stored less 8, so  sum_i (q[i] - 8) * qx[i] = sum_i q[i] * qx[i] - 8 * sum_i qx[i].
// The inner loop multiplies what is stored, and the last sum does not depend on the row. Shapes as
// above; value i of a block is the low half of its byte i, value i + 16 the high half.
void matvec_q4_0(float* out, const BlockQ4_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q4_0
  const std::int64_t blocks = cols / kQuantBlock;
  for (std::int64_t o = 0; o < rows; ++o) {
    const BlockQ4_0* w_o = weight + o * blocks;
    float sum = 0.0f;
    for (std::int64_t b = 0; b < blocks; ++b) {
      int dot = 0, x_sum = 0;
      for (int i = 0; i < kQuantBlock / 2; ++i) {
        const int low = x[b].q[i], high = x[b].q[i + kQuantBlock / 2];
        dot += (w_o[b].q[i] & 15) * low + (w_o[b].q[i] >> 4) * high;
        x_sum += low + high;
      }
      sum += w_o[b].d * x[b].d * static_cast<float>(dot - 8 * x_sum);
    }
    out[o] = sum;
  }
  // end of your code
}

}  // namespace tinygpt::ref
