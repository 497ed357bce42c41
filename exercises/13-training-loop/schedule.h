// Lesson 13: how large a step is, and when.
#pragma once

namespace tinygpt::mine {

// Linear warm-up, then a cosine from lr down to min_lr.
// Loshchilov, Hutter: "SGDR: Stochastic Gradient Descent with Warm Restarts" (2016), equation 5.
struct Schedule {
  float lr = 1e-3f;
  float min_lr = 1e-4f;
  int warmup = 100;
  int steps = 1000;  // the cosine reaches min_lr after this many
};

// The learning rate of step `step`, counted from 0:
//   step <  warmup:  lr * (step + 1) / (warmup + 1)
//   step <  steps:   min_lr + (lr - min_lr) * (1 + cos(pi * r)) / 2
//                    with r = (step - warmup) / (steps - warmup)
//   else:            min_lr
float learning_rate_at(int step, const Schedule& schedule);

}  // namespace tinygpt::mine
