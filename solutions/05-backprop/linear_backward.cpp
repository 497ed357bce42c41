#include "solutions/05-backprop/backprop.h"

#include <cstdint>

namespace tinygpt::ref {

// Differentiates out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c].
//
// dx [N, C], dweight [OC, C], dbias [OC]: accumulate; each may be nullptr where it is not needed.
// dout [N, OC], x [N, C], weight [OC, C].
void linear_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                     const float* weight, float* /*scratch*/, int N, int C, int OC) {
  // your code: 05.linear_backward
  // Each product x * weight passes the gradient of its output to both factors, times the other
  // factor. Since x and weight each serve many outputs, what they receive adds up.
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
  // end of your code
}

}  // namespace tinygpt::ref
