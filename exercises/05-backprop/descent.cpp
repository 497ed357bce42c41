#include "exercises/05-backprop/descent.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::mine {

// param[i] -= lr * grad[i]
void sgd_step(float* param, const float* grad, float lr, std::int64_t n) {
  // your code: 05.sgd_step
  throw NotImplemented("05.sgd_step");
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
  throw NotImplemented("05.gradient_check");
  // end of your code
}

}  // namespace tinygpt::mine
