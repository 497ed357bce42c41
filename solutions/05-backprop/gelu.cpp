#include <cmath>
#include <cstdint>

#include "solutions/05-backprop/backprop.h"

namespace tinygpt::ref {
namespace {

constexpr float kSqrt2OverPi = 0.7978845608028654f;
constexpr float kCubic = 0.044715f;

}  // namespace

// out[i] = 0.5 * x[i] * (1 + tanh(u)),  u = sqrt(2 / pi) * (x + 0.044715 x^3)
void gelu_forward(float* out, const float* x, std::int64_t n) {
  // your code: 05.gelu_forward
  for (std::int64_t i = 0; i < n; ++i) {
    const float u = kSqrt2OverPi * (x[i] + kCubic * x[i] * x[i] * x[i]);
    out[i] = 0.5f * x[i] * (1.0f + std::tanh(u));
  }
  // end of your code
}

// Differentiates out[i] = 0.5 * x[i] * (1 + tanh(u)):  dx[i] += dout[i] * d out[i] / d x[i]
//
// x may be so large that x^2 is infinite. The slope is 0 or 1 there, and never NaN.
void gelu_backward(float* dx, const float* dout, const float* x, std::int64_t n) {
  // your code: 05.gelu_backward
  // By the product rule: x itself, and x inside u.
  for (std::int64_t i = 0; i < n; ++i) {
    const float u = kSqrt2OverPi * (x[i] + kCubic * x[i] * x[i] * x[i]);
    const float t = std::tanh(u);
    const float du = kSqrt2OverPi * (1.0f + 3.0f * kCubic * x[i] * x[i]);
    // 1 - t^2 is the derivative of tanh. For a large |x| it is 0, but x^2 in du may be infinite.
    const float slope = 1.0f - t * t;
    const float inner = slope == 0.0f ? 0.0f : 0.5f * x[i] * slope * du;
    dx[i] += dout[i] * (0.5f * (1.0f + t) + inner);
  }
  // end of your code
}

}  // namespace tinygpt::ref
