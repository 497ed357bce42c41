#include "solutions/05-backprop/descent.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::ref {

// param[i] -= lr * grad[i]
void sgd_step(float* param, const float* grad, float lr, std::int64_t n) {
  // your code: 05.sgd_step
  for (std::int64_t i = 0; i < n; ++i) param[i] -= lr * grad[i];
  // end of your code
}

// numeric[i] = (loss(params + step e_i) - loss(params - step e_i)) / (2 step)
//
// Returns the parameter with the largest |numeric - gradient| / max(|numeric|, |gradient|, 1e-8);
// the first of equals, also where all are 0. params must be as before afterwards, to the bit.
GradientError gradient_check(const std::function<double(std::span<const double>)>& loss,
                             std::span<double> params, std::span<const double> gradient,
                             double step) {
  // your code: 05.gradient_check
  GradientError worst;
  for (std::size_t i = 0; i < params.size(); ++i) {
    const double kept = params[i];  // adding and subtracting the step would round
    params[i] = kept + step;
    const double above = loss(params);
    params[i] = kept - step;
    const double below = loss(params);
    params[i] = kept;
    const double numeric = (above - below) / (2 * step);
    const double size = std::max({std::abs(numeric), std::abs(gradient[i]), 1e-8});
    const double error = std::abs(numeric - gradient[i]) / size;
    if (worst.index < 0 || error > worst.error) {
      worst = {static_cast<std::int64_t>(i), numeric, error};
    }
  }
  return worst;
  // end of your code
}

}  // namespace tinygpt::ref
