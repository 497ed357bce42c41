#include <cstdint>

#include "exercises/24-quantized-inference/quantized.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// out[o] = sum_b dw[o, b] * dx[b] * sum_i qw[o, b, i] * qx[b, i]
//
// out [rows] written, weight [rows, cols / 32], x [cols / 32]; cols is a multiple of 32. The inner
// sum is one of integers. d is a Float16, which turns itself into a float.
void matvec_q8_0(float* out, const BlockQ8_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q8_0
  throw NotImplemented("24.matvec_q8_0");
  // end of your code
}

// qw is what is stored less 8, so  sum_i (q[i] - 8) * qx[i] = sum_i q[i] * qx[i] - 8 * sum_i qx[i].
// The inner loop multiplies what is stored, and the last sum does not depend on the row. Shapes as
// above; value i of a block is the low half of its byte i, value i + 16 the high half.
void matvec_q4_0(float* out, const BlockQ4_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q4_0
  throw NotImplemented("24.matvec_q4_0");
  // end of your code
}

}  // namespace tinygpt::mine
