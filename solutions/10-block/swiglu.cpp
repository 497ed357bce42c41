#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"

namespace tinygpt::ref {

// out[n, h] = silu(gate) * up,  silu(z) = z * sigmoid(z),  gate = x[n, h],  up = x[n, H + h]
//
// out [N, H] is written. x [N, 2 H]: each row holds H gates, then H values ("up").
// sigmoid(z) = 1 / (1 + exp(-z)), which is right for any z, infinite exponentials included.
void swiglu_forward(float* out, const float* x, int N, int H) {
  // your code: 10.swiglu_forward
  for (int n = 0; n < N; ++n) {
    const float* gate = x + std::int64_t{n} * 2 * H;
    const float* up = gate + H;
    for (int h = 0; h < H; ++h) {
      const float sigmoid = 1.0f / (1.0f + std::exp(-gate[h]));
      out[std::int64_t{n} * H + h] = gate[h] * sigmoid * up[h];
    }
  }
  // end of your code
}

// Differentiates out = silu(gate) * up:
//   dx[n, h]     += dout[n, h] * up * silu'(gate)
//   dx[n, H + h] += dout[n, h] * silu(gate)
//
// dx [N, 2 H] accumulates. dout [N, H], x [N, 2 H].
void swiglu_backward(float* dx, const float* dout, const float* x, int N, int H) {
  // your code: 10.swiglu_backward
  // With s = sigmoid(z), s' = s * (1 - s), so silu'(z) = s + z * s * (1 - s), by the product rule.
  for (int n = 0; n < N; ++n) {
    const float* gate = x + std::int64_t{n} * 2 * H;
    const float* up = gate + H;
    float* dgate = dx + std::int64_t{n} * 2 * H;
    float* dup = dgate + H;
    for (int h = 0; h < H; ++h) {
      const float d = dout[std::int64_t{n} * H + h];
      const float sigmoid = 1.0f / (1.0f + std::exp(-gate[h]));
      dgate[h] += d * up[h] * sigmoid * (1.0f + gate[h] * (1.0f - sigmoid));
      dup[h] += d * gate[h] * sigmoid;
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
