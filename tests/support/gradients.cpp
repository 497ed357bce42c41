#include "tests/support/gradients.h"

#include <cmath>

namespace tinygpt::test {
namespace {

double weighted(const Values& out, const Values& dout) {
  double sum = 0;
  for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * dout[i];
  return sum;
}

}  // namespace

// The step is near the cube root of double's precision, where the error of the difference (h^2) and
// that of the subtraction (eps / h) are both about 1e-10.
std::vector<Values> numeric_gradients(const Formula& f, std::vector<Values> inputs,
                                      const Values& dout) {
  std::vector<Values> gradients;
  for (Values& input : inputs) {
    Values gradient(input.size());
    for (std::size_t i = 0; i < input.size(); ++i) {
      const double x = input[i], h = 1e-5 * std::max(1.0, std::abs(x));
      input[i] = x + h;
      const double above = weighted(f(inputs), dout);
      input[i] = x - h;
      const double below = weighted(f(inputs), dout);
      input[i] = x;
      gradient[i] = (above - below) / (2 * h);
    }
    gradients.push_back(std::move(gradient));
  }
  return gradients;
}

double numeric_derivative(const Formula& f, const std::vector<Values>& inputs, const Values& dout,
                          const std::vector<Values>& direction) {
  constexpr double kStep = 1e-5;
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
