#include "solutions/00-first-steps/first_steps.h"

namespace tinygpt::ref {

// y[i] += a * x[i]: given, as an example.
void axpy(float* y, const float* x, float a, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

// y[i] = a * x[i]
//
// y [n]: written; may be x itself. x [n].
void scale(float* y, const float* x, float a, std::int64_t n) {
  // your code: 00.scale
  for (std::int64_t i = 0; i < n; ++i) y[i] = a * x[i];
  // end of your code
}

}  // namespace tinygpt::ref
