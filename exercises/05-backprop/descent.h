// Lesson 05: a step downhill, and how to find out whether a gradient is right.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace tinygpt::mine {

// param[i] -= lr * grad[i]
//
// param [n]  in and out
// grad  [n]
void sgd_step(float* param, const float* grad, float lr, std::int64_t n);

// Where a gradient is furthest from the slope that the loss shows.
struct GradientError {
  std::int64_t index = -1;  // -1: there are no parameters
  double numeric = 0;       // the slope there, by central differences
  double error = 0;         // |numeric - gradient| / max(|numeric|, |gradient|, 1e-8)
};

// Compares a gradient with central differences of the loss, one parameter at a time:
//
//   numeric[i] = (loss(params + step e_i) - loss(params - step e_i)) / (2 step)
//
// and returns the parameter with the largest relative error. params are as before afterwards, to
// the bit. Of equal errors the first counts.
GradientError gradient_check(const std::function<double(std::span<const double>)>& loss,
                             std::span<double> params, std::span<const double> gradient,
                             double step);

}  // namespace tinygpt::mine
