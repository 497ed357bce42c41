#include <cmath>
#include <cstdint>

#include "exercises/09-position/position.h"
#include "tinygpt/core/error.h"

namespace tinygpt::mine {
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
  throw NotImplemented("09.rope_forward");
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
  throw NotImplemented("09.rope_backward");
  // end of your code
}

}  // namespace tinygpt::mine
