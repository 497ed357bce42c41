// Grades exercises/05-backprop/gelu.cpp.
#include <fmt/format.h>

#include <cmath>

#include "solutions/05-backprop/backprop.h"
#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {
namespace {

// Small values, and large ones, where tanh has reached its ends and x^3 may be infinite.
std::vector<Values> inputs() {
  return {random_values(1, 1),
          random_values(7, 2),
          random_values(333, 3, 3.0),
          {0, 1, -1, 30, -30, 1e4, -1e4, 1e15, -1e15, 3e38, -3e38}};
}

double inner(double x) { return std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }

void examine_forward(Exam& exam) {
  for (const Values& x : inputs()) {
    const int n = static_cast<int>(x.size());
    const test::Exact expected = test::gelu_equation().forward({x});
    Values relu, no_half, no_cubic, square, outside, exact;
    for (const double v : x) {
      relu.push_back(std::max(v, 0.0));
      no_half.push_back(v * (1 + std::tanh(inner(v))));
      no_cubic.push_back(0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * v)));
      square.push_back(0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v))));
      outside.push_back(0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * v + 0.044715 * v * v * v)));
      exact.push_back(0.5 * v * (1 + std::erf(v / std::sqrt(2))));
    }
    Sandbox& s = exam.call(fmt::format("gelu_forward(n={}), x from {:.3g}", n, x[0]));
    float* out = s.output(n);
    ref::gelu_forward(out, s.input(x), n);
    exam.expect(
        "out", out, expected.value, {{"i", n}}, {.magnitudes = expected.magnitude},
        {gives(relu, "This is ReLU, max(x, 0)."), gives(no_half, "The factor 0.5 is missing."),
         gives(no_cubic, "The cubic term 0.044715 x^3 is missing."),
         gives(square, "The second term of u is the cube: 0.044715 x^3, not x^2."),
         gives(outside, "sqrt(2 / pi) multiplies the whole bracket, x + 0.044715 x^3."),
         gives(exact,
               "This is the GELU with erf. GPT-2 was trained with the tanh form: near it, "
               "but not the same.")});
  }
}

void examine_backward(Exam& exam) {
  for (const Values& x : inputs()) {
    const int n = static_cast<int>(x.size());
    const Values dout = random_values(n, 5);
    const test::Exact exact = test::gelu_equation().backward({x}, dout)[0];
    Values no_tanh, no_dout, no_du, no_three, no_square, no_half, no_x, of_x;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double v = x[i], t = std::tanh(inner(v)), slope = 1 - t * t;
      const double du = std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * v * v);
      const auto rest = [&](double change) { return slope == 0 ? 0.0 : 0.5 * v * slope * change; };
      no_tanh.push_back(dout[i] * 0.5 * (1 + t));
      no_dout.push_back(0.5 * (1 + t) + rest(du));
      no_du.push_back(dout[i] * (0.5 * (1 + t) + rest(1)));
      no_three.push_back(dout[i] *
                         (0.5 * (1 + t) + rest(std::sqrt(2 / M_PI) * (1 + 0.044715 * v * v))));
      no_square.push_back(dout[i] * (0.5 * (1 + t) + 0.5 * v * (1 - t) * du));
      no_half.push_back(dout[i] * (0.5 * (1 + t) + 2 * rest(du)));
      no_x.push_back(dout[i] * (0.5 * (1 + t) + 0.5 * slope * du));
      const double other = std::tanh(v);
      of_x.push_back(dout[i] * (0.5 * (1 + other) + 0.5 * v * (1 - other * other) * du));
    }
    Sandbox& s = exam.call(fmt::format("gelu_backward(n={}), x from {:.3g}", n, x[0]));
    float* dx = s.accumulator(n, 6);
    const float *dout_ = s.input(dout), *x_ = s.input(x);
    ref::gelu_backward(dx, dout_, x_, n);
    exam.expect_added(
        "dx", dx, exact.value, {{"i", n}}, {.magnitudes = exact.magnitude},
        {gives(no_tanh,
               "The second term of the product rule is missing: x stands inside tanh as well."),
         gives(no_dout, "The chain rule: what flows in, dout, multiplies all of it."),
         gives(no_du, "The derivative of tanh(u) is (1 - tanh(u)^2) times the derivative of u."),
         gives(no_three, "The derivative of x^3 is 3 x^2: the 3 is missing."),
         gives(no_square, "The derivative of tanh(u) is 1 - tanh(u)^2: the square is missing."),
         gives(no_half, "The factor 0.5 stands before both terms of the product rule."),
         gives(no_x,
               "In the second term of the product rule x itself stays: 0.5 x times the "
               "derivative of tanh(u)."),
         gives(of_x, "This is tanh(x). It is to be tanh(u), as in the forward pass."),
         when(
             [](const Answer& a) {
               for (const double v : a.actual) {
                 if (std::isnan(v)) return true;
               }
               return false;
             },
             "For a large |x| the slope of tanh is 0, and x^2 may be infinite: 0 times infinity is "
             "NaN. Where the slope is 0, the second term is 0.")});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"05.gelu_forward", examine_forward}, {"05.gelu_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
