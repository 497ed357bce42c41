#include "exercises/13-training-loop/schedule.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <cmath>

namespace tinygpt::mine {

// step <  warmup:  lr * (step + 1) / (warmup + 1)
// step <  steps:   min_lr + (lr - min_lr) * (1 + cos(pi * r)) / 2
//                  with r = (step - warmup) / (steps - warmup)
// else:            min_lr
float learning_rate_at(int step, const Schedule& s) {
  // your code: 13.learning_rate_at
  throw NotImplemented("13.learning_rate_at");
  // end of your code
}

}  // namespace tinygpt::mine
