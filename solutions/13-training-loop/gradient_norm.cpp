#include <cmath>
#include <cstdint>

#include "solutions/13-training-loop/optimizer.h"

namespace tinygpt::ref {

// norm[0] = sqrt(sum_i grad[i]^2), over all parameters together
void gradient_norm(float* norm, const float* grad, float* /*scratch*/, std::int64_t n) {
  // your code: 13.gradient_norm
  double sum = 0.0;  // in float, a million small squares would vanish beside the sum
  for (std::int64_t i = 0; i < n; ++i) sum += double{grad[i]} * grad[i];
  norm[0] = static_cast<float>(std::sqrt(sum));
  // end of your code
}

std::int64_t gradient_norm_scratch_size(std::int64_t /*n*/) { return 0; }

// grad[i] *= max_norm / norm[0]   if norm[0] > max_norm
//
// One factor for all parameters: the step gets shorter and keeps its direction. A norm that is not
// finite leaves grad as it is.
void clip_gradients(float* grad, const float* norm, std::int64_t n, float max_norm) {
  // your code: 13.clip_gradients
  if (!std::isfinite(norm[0]) || norm[0] <= max_norm) return;
  const float factor = max_norm / norm[0];
  for (std::int64_t i = 0; i < n; ++i) grad[i] *= factor;
  // end of your code
}

}  // namespace tinygpt::ref
