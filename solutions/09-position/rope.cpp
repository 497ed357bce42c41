#include <cmath>
#include <cstdint>

#include "solutions/09-position/position.h"
#include "tinygpt/core/error.h"

namespace tinygpt::ref {
namespace {

// Turns each pair (x[i], x[i + HS/2]) of the first `heads` heads by its angle, or back by it.
void rotate(float* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
            int stride, int start, float direction) {
  check(HS % 2 == 0, "rope: the head size must be even, since values are turned in pairs");
  const int half = HS / 2;
  for (int b = 0; b < B; ++b) {
    for (int t = 0; t < T; ++t) {
      float* x_bt = x + (std::int64_t{b} * T + t) * stride;
      const float* cosine_t = cosine + (std::int64_t{start} + t) * half;
      const float* sine_t = sine + (std::int64_t{start} + t) * half;
      for (int h = 0; h < heads; ++h) {
        float* first = x_bt + h * HS;
        float* second = first + half;
        for (int i = 0; i < half; ++i) {
          const float x0 = first[i], x1 = second[i];  // both are read before either is written
          const float s = direction * sine_t[i];
          first[i] = x0 * cosine_t[i] - x1 * s;
          second[i] = x0 * s + x1 * cosine_t[i];
        }
      }
    }
  }
}

}  // namespace

// cosine[t, i] = cos(t * base^(-2 i / HS)),  sine[t, i] = sin(the same angle)
void rope_table(float* cosine, float* sine, int T, int HS, float base) {
  check(HS % 2 == 0, "rope: the head size must be even, since values are turned in pairs");
  const int half = HS / 2;
  for (int i = 0; i < half; ++i) {
    const double frequency = std::pow(double{base}, -2.0 * i / HS);
    for (int t = 0; t < T; ++t) {
      const std::int64_t at = std::int64_t{t} * half + i;
      cosine[at] = static_cast<float>(std::cos(t * frequency));
      sine[at] = static_cast<float>(std::sin(t * frequency));
    }
  }
}

// out[i] = x[i] * cos - x[i + HS/2] * sin,  out[i + HS/2] = x[i] * sin + x[i + HS/2] * cos
void rope_forward(float* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
                  int stride, int start) {
  rotate(x, cosine, sine, B, T, heads, HS, stride, start, 1.0f);
}

// Differentiates the rotation out = R x: dx = R^T dout, and the transpose of a rotation turns by
// the same angle the other way.
void rope_backward(float* dx, const float* cosine, const float* sine, int B, int T, int heads,
                   int HS, int stride, int start) {
  rotate(dx, cosine, sine, B, T, heads, HS, stride, start, -1.0f);
}

}  // namespace tinygpt::ref
