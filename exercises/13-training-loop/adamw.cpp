#include <cmath>
#include <cstdint>

#include "exercises/13-training-loop/optimizer.h"
#include "tinygpt/core/error.h"

namespace tinygpt::mine {

// m = beta1 * m + (1 - beta1) * grad,    mhat = m / (1 - beta1^step)
// v = beta2 * v + (1 - beta2) * grad^2,  vhat = v / (1 - beta2^step)
// param -= lr * weight_decay * param + lr * mhat / (sqrt(vhat) + eps)
//
// Steps count from 1. (master is for lesson 16: nullptr here.)
void adamw_step(float* param, float* /*master*/, float* m, float* v, const float* grad,
                std::int64_t n, const AdamwSettings& s) {
  check(s.step >= 1, "adamw: steps count from 1, since step 0 has nothing to correct by");
  // your code: 13.adamw_step
  throw NotImplemented("13.adamw_step");
  // end of your code
}

}  // namespace tinygpt::mine
