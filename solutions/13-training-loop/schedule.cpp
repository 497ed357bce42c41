#include "solutions/13-training-loop/schedule.h"

#include <cmath>

namespace tinygpt::ref {

// step <  warmup:  lr * (step + 1) / (warmup + 1)
// step <  steps:   min_lr + (lr - min_lr) * (1 + cos(pi * r)) / 2
//                  with r = (step - warmup) / (steps - warmup)
// else:            min_lr
float learning_rate_at(int step, const Schedule& s) {
  // your code: 13.learning_rate_at
  // AdamW's first steps are all of full size, since m / sqrt(v) is 1 when both hold one gradient:
  // until v has seen more than one batch, steps are kept small.
  if (step < s.warmup) {
    return s.lr * static_cast<float>(step + 1) / static_cast<float>(s.warmup + 1);
  }
  if (step >= s.steps) return s.min_lr;
  const double r = static_cast<double>(step - s.warmup) / (s.steps - s.warmup);
  const double share = 0.5 * (1.0 + std::cos(3.141592653589793 * r));
  return s.min_lr + static_cast<float>(share) * (s.lr - s.min_lr);
  // end of your code
}

}  // namespace tinygpt::ref
