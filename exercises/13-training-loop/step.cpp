#include "exercises/13-training-loop/step.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::mine {

// grads = 0; then for i = 0 .. K - 1: grads += 1/K * gradient of micro-batch i, by pass(i, scale)
// norm  = the norm of all grads; grads *= max_norm / norm if norm > max_norm > 0
// AdamW for every tensor of shapes; one with a single row does not decay
//
// Returns the mean of the losses, and the norm before clipping. Where the norm is not finite,
// params, m and v stay as they are.
StepResult train_step(const TrainingState& state, const Pass& pass, const Ops<float>& ops,
                      const StepPlan& plan) {
  // your code: 13.train_step
  throw NotImplemented("13.train_step");
  // end of your code
}

}  // namespace tinygpt::mine
