#include <cstdint>

#include "exercises/24-quantized-inference/quantized.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// out[o] = sum_b dw[o, b] * dx[b] * sum_i qw[o, b, i] * qx[b, i]
void matvec_q8_0(float* out, const BlockQ8_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q8_0
  throw NotImplemented("24.matvec_q8_0");
  // end of your code
}

// qw is what is stored less 8, so  sum_i (q[i] - 8) * qx[i] = sum_i q[i] * qx[i] - 8 * sum_i qx[i].
// The inner loop multiplies what is stored, and the last sum does not depend on the row.
void matvec_q4_0(float* out, const BlockQ4_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q4_0
  throw NotImplemented("24.matvec_q4_0");
  // end of your code
}

}  // namespace tinygpt::mine
