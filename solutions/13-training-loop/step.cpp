#include "solutions/13-training-loop/step.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::ref {

// grads = 0; then for i = 0 .. K - 1: grads += 1/K * gradient of micro-batch i, by pass(i, scale)
// norm  = the norm of all grads; grads *= max_norm / norm if norm > max_norm > 0
// AdamW for every tensor of shapes; one with a single row does not decay
//
// Returns the mean of the losses, and the norm before clipping. Where the norm is not finite,
// params, m and v stay as they are.
StepResult train_step(const TrainingState& state, const Pass& pass, const Ops<float>& ops,
                      const StepPlan& plan) {
  // your code: 13.train_step
  const auto n = static_cast<std::int64_t>(state.params.size());
  StepResult result;
  std::fill(state.grads.begin(), state.grads.end(), 0.0f);
  for (int i = 0; i < plan.passes; ++i) {
    result.loss += pass(i, 1.0f / static_cast<float>(plan.passes));
  }
  result.loss /= plan.passes;
  ops.gradient_norm(&result.norm, state.grads.data(), state.scratch.data(), n);
  if (!std::isfinite(result.norm)) return result;
  if (plan.max_norm > 0) ops.clip_gradients(state.grads.data(), &result.norm, n, plan.max_norm);
  for (const ParameterShape& shape : state.shapes) {
    AdamwSettings settings = plan.adamw;
    if (shape.rows == 1) settings.weight_decay = 0.0f;
    const std::int64_t at = shape.offset;
    ops.adamw_step(&state.params[at], nullptr, &state.m[at], &state.v[at], &state.grads[at],
                   std::int64_t{shape.rows} * shape.cols, settings);
  }
  return result;
  // end of your code
}

}  // namespace tinygpt::ref
