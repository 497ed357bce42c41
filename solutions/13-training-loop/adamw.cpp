#include <cmath>
#include <cstdint>

#include "solutions/13-training-loop/optimizer.h"
#include "tinygpt/core/error.h"

namespace tinygpt::ref {

// m = beta1 * m + (1 - beta1) * grad,    mhat = m / (1 - beta1^step)
// v = beta2 * v + (1 - beta2) * grad^2,  vhat = v / (1 - beta2^step)
// param -= lr * weight_decay * param + lr * mhat / (sqrt(vhat) + eps)
//
// Steps count from 1. (master is for lesson 16: nullptr here.)
void adamw_step(float* param, float* /*master*/, float* m, float* v, const float* grad,
                std::int64_t n, const AdamwSettings& s) {
  check(s.step >= 1, "adamw: steps count from 1, since step 0 has nothing to correct by");
  // your code: 13.adamw_step
  // m and v start at zero and are too small at first, by exactly these factors.
  const auto correction1 = static_cast<float>(1.0 - std::pow(double{s.beta1}, s.step));
  const auto correction2 = static_cast<float>(1.0 - std::pow(double{s.beta2}, s.step));
  for (std::int64_t i = 0; i < n; ++i) {
    m[i] = s.beta1 * m[i] + (1.0f - s.beta1) * grad[i];
    v[i] = s.beta2 * v[i] + (1.0f - s.beta2) * grad[i] * grad[i];
    const float mhat = m[i] / correction1;
    const float vhat = v[i] / correction2;
    // Decoupled: the decay acts on the parameter itself. Added to grad instead, it would be divided
    // by sqrt(v) and decay seldom-used weights more than others.
    const float decayed = param[i] - s.lr * s.weight_decay * param[i];
    param[i] = decayed - s.lr * mhat / (std::sqrt(vhat) + s.eps);
  }
  // end of your code
}

}  // namespace tinygpt::ref
