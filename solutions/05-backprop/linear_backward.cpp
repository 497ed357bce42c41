#include "solutions/05-backprop/backprop.h"

#include <cstdint>

namespace tinygpt::ref {

// Differentiates out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c].
//
// Each product x * weight passes the gradient of its output to both factors, times the other
// factor. Since out[n, o] is a sum over c, every (n, o) touches a row of x and a row of weight;
// since x and weight each serve many outputs, what they receive adds up.
void linear_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                     const float* weight, float* /*scratch*/, int N, int C, int OC) {
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * C;
    for (int o = 0; o < OC; ++o) {
      const float d = dout[std::int64_t{n} * OC + o];
      const float* weight_o = weight + std::int64_t{o} * C;
      if (dx != nullptr) {
        float* dx_n = dx + std::int64_t{n} * C;
        for (int c = 0; c < C; ++c) dx_n[c] += d * weight_o[c];
      }
      if (dweight != nullptr) {
        float* dweight_o = dweight + std::int64_t{o} * C;
        for (int c = 0; c < C; ++c) dweight_o[c] += d * x_n[c];
      }
      if (dbias != nullptr) dbias[o] += d;
    }
  }
}

}  // namespace tinygpt::ref
