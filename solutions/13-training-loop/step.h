// Lesson 13: one step of training, put together.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "tinygpt/ops/ops.h"

namespace tinygpt::ref {

// A tensor's place in the buffer of all parameters. Matrices and embeddings have several rows; a
// vector (a bias, a norm's weight) has one.
struct ParameterShape {
  std::int64_t offset = 0;
  int rows = 1, cols = 1;
};

// What a step changes. All four buffers have n values and the same layout.
struct TrainingState {
  std::span<float> params, grads, m, v;
  std::span<float> scratch;  // ops.gradient_norm_scratch_size(n) floats
  std::span<const ParameterShape> shapes;
};

struct StepPlan {
  int passes = 1;       // K, the micro-batches of a step; at least 1
  float max_norm = 1;   // of the gradient; 0: no clipping
  AdamwSettings adamw;  // with this step's lr and step; weight_decay is that of matrices
};

struct StepResult {
  double loss = 0;  // the mean over all passes
  float norm = 0;   // of the gradient, before clipping
};

// Runs micro-batch i forward and backward: adds `scale` times the gradient of its mean loss to
// state.grads, and returns its mean loss.
using Pass = std::function<double(int i, float scale)>;

// One step:
//
//   grads = 0
//   grads += 1/K * gradient of micro-batch i,     for i = 0 .. K - 1, by calling pass
//   norm   = the norm of grads, all parameters together
//   grads *= max_norm / norm                      if norm > max_norm > 0
//   AdamW for every tensor of shapes; one with a single row does not decay
//
// by the kernels ops.gradient_norm, ops.clip_gradients and ops.adamw_step. Where the norm is not
// finite, params, m and v stay as they are: one bad batch must not spoil what was learned.
StepResult train_step(const TrainingState& state, const Pass& pass, const Ops<float>& ops,
                      const StepPlan& plan);

}  // namespace tinygpt::ref
