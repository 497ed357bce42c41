#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"

namespace tinygpt::ref {

// out[n, h] = silu(gate) * up,  silu(z) = z * sigmoid(z),  gate = x[n, h],  up = x[n, H + h]
void swiglu_forward(float* out, const float* x, int N, int H) {
  for (int n = 0; n < N; ++n) {
    const float* gate = x + std::int64_t{n} * 2 * H;
    const float* up = gate + H;
    for (int h = 0; h < H; ++h) {
      const float sigmoid = 1.0f / (1.0f + std::exp(-gate[h]));
      out[std::int64_t{n} * H + h] = gate[h] * sigmoid * up[h];
    }
  }
}

// Differentiates out = silu(gate) * up. With s = sigmoid(z), s' = s * (1 - s), so
// silu'(z) = s + z * s * (1 - s) = s * (1 + z * (1 - s)).
void swiglu_backward(float* dx, const float* dout, const float* x, int N, int H) {
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
}

}  // namespace tinygpt::ref
