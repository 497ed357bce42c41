#include "tests/support/gradients.h"

#include <cmath>

namespace tinygpt::test {
namespace {

// Near the cube root of double's precision, where the error of the difference (h^2) and that of the
// subtraction (eps / h) are both about 1e-10.
constexpr double kStep = 1e-5;

double weighted(const Values& out, const Values& dout) {
  double sum = 0;
  for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * dout[i];
  return sum;
}

}  // namespace

std::vector<Values> numeric_gradients(const Formula& f, std::vector<Values> inputs,
                                      const Values& dout) {
  std::vector<Values> gradients;
  for (Values& input : inputs) {
    Values gradient(input.size());
    for (std::size_t i = 0; i < input.size(); ++i) {
      const double x = input[i], h = kStep * std::max(1.0, std::abs(x));
      input[i] = x + h;
      const Values above = f(inputs);
      input[i] = x - h;
      const Values below = f(inputs);
      input[i] = x;
      // Outputs are subtracted one by one: a large sum over all of them would hide the change.
      for (std::size_t o = 0; o < dout.size(); ++o) {
        gradient[i] += dout[o] * (above[o] - below[o]) / (2 * h);
      }
    }
    gradients.push_back(std::move(gradient));
  }
  return gradients;
}

double numeric_derivative(const Formula& f, const std::vector<Values>& inputs, const Values& dout,
                          const std::vector<Values>& direction) {
  const auto at = [&](double h) {
    std::vector<Values> moved = inputs;
    for (std::size_t k = 0; k < moved.size(); ++k) {
      for (std::size_t i = 0; i < moved[k].size(); ++i) moved[k][i] += h * direction[k][i];
    }
    return weighted(f(moved), dout);
  };
  return (at(kStep) - at(-kStep)) / (2 * kStep);
}

}  // namespace tinygpt::test
