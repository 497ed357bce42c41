// Gradients of double-precision formulas by central differences.
#pragma once

#include <functional>
#include <vector>

#include "tests/support/compare.h"

namespace tinygpt::test {

// A formula: its inputs to its output, each as one flat array.
using Formula = std::function<Values(const std::vector<Values>& inputs)>;

// For each input, the gradient of sum_i dout[i] * f(inputs)[i].
std::vector<Values> numeric_gradients(const Formula& f, std::vector<Values> inputs,
                                      const Values& dout);

// The derivative of the same sum along `direction`, which has the shape of the inputs: one number
// to check a large gradient by.
double numeric_derivative(const Formula& f, const std::vector<Values>& inputs, const Values& dout,
                          const std::vector<Values>& direction);

}  // namespace tinygpt::test
