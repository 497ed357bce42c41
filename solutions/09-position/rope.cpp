#include <cmath>
#include <cstdint>

#include "solutions/09-position/position.h"
#include "tinygpt/core/error.h"

namespace tinygpt::ref {
namespace {

// Turns each pair (x[i], x[i + HS/2]) of the first `heads` heads of every row by `direction` times
// its angle. With p = start + t and h2 = HS / 2, a direction of 1, and the values before on the
// right:
//   x[i]      = x[i] * cosine[p, i] - x[i + h2] * sine[p, i]
//   x[i + h2] = x[i] * sine[p, i]   + x[i + h2] * cosine[p, i]
// and -1 turns by the same angle the other way: cos(-a) is cos(a), sin(-a) is -sin(a).
//
// x [B, T, stride]  in place. A row is heads * HS values, then others that stay as they are.
// cosine, sine [max_T, h2]: start + T <= max_T
void rotate(float* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
            int stride, int start, float direction) {
  check(HS % 2 == 0, "rope: the head size must be even, since values are turned in pairs");
  // your code: 09.rope_forward
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
  // end of your code
}

}  // namespace

// cosine[t, i] = cos(t * base^(-2 i / HS)),  sine[t, i] = sin(the same angle)
//
// cosine, sine [T, HS / 2]  written. The angles are those of sinusoidal_positions.
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

// Differentiates
//   out[i]      = x[i] * cosine[p, i] - x[i + h2] * sine[p, i]
//   out[i + h2] = x[i] * sine[p, i]   + x[i + h2] * cosine[p, i]
//
// dx [B, T, stride]  in place: the gradient of out before, the gradient of x afterwards
void rope_backward(float* dx, const float* cosine, const float* sine, int B, int T, int heads,
                   int HS, int stride, int start) {
  // your code: 09.rope_backward
  // x[i] has the factor cos in the first line and sin in the second, x[i + h2] has -sin and cos:
  // that is the rotation by the same angle the other way.
  rotate(dx, cosine, sine, B, T, heads, HS, stride, start, -1.0f);
  // end of your code
}

}  // namespace tinygpt::ref
