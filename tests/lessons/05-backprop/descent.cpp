// Grades exercises/05-backprop/descent.cpp.
#include "solutions/05-backprop/descent.h"

#include <fmt/format.h>

#include <cmath>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

void examine_step(Exam& exam) {
  for (const int n : {1, 5, 0, 257}) {
    const Values start = random_values(n, 1), grad = random_values(n, 2);
    Values expected, uphill, no_rate, replaced, mean, scaled;
    for (std::size_t i = 0; i < start.size(); ++i) {
      expected.push_back(start[i] - 0.125 * grad[i]);
      uphill.push_back(start[i] + 0.125 * grad[i]);
      no_rate.push_back(start[i] - grad[i]);
      replaced.push_back(-0.125 * grad[i]);
      mean.push_back(start[i] - 0.125 * grad[i] / n);
      scaled.push_back(start[i] - 0.125 * grad[i] * start[i]);
    }
    Sandbox& s = exam.call(fmt::format("sgd_step(lr=0.125, n={})", n));
    float* param = s.accumulator(start);
    ref::sgd_step(param, s.input(grad), 0.125f, n);
    exam.expect(
        "param", param, expected, {{"i", n}}, {.scale = 4},
        {gives(uphill, "Uphill: the gradient points to where the loss grows, so it is subtracted."),
         gives(no_rate, "The learning rate is missing."),
         gives(replaced, "The step replaces the parameter. It starts where the parameter is: -=."),
         gives(mean,
               "The step is divided by the number of parameters. Whether a mean is wanted, the "
               "gradient says already."),
         gives(scaled, "The step is multiplied by the parameter: it is lr * grad[i], no more.")});
  }
}

// sum of k_i p_i^3: central differences of a cubic are off by k step^2, one-sided ones by far more.
struct Cubic {
  std::vector<double> k;
  double operator()(std::span<const double> p) const {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += k[i] * p[i] * p[i] * p[i];
    return sum;
  }
};

// What a wrong denominator makes of a slope and a gradient that differ.
std::vector<Mistake> error_mistakes(double numeric, double gradient, double wanted) {
  const double off = std::abs(gradient - numeric);
  const double n = std::abs(numeric), g = std::abs(gradient);
  std::vector<Mistake> all = {
      gives({off}, "This is the absolute difference. Divide by the larger of the two sizes."),
      gives({-wanted}, "An error has no sign: take the absolute value."),
      gives({off / (n + g)},
            "You divide by the sum of the two sizes. Divide by the larger of them."),
      gives({off / std::min(n, g)},
            "You divide by one of the two, the smaller here. Divide by the larger of them.")};
  if (wanted > 0) {
    all.push_back(gives({0.0},
                        "An error of 0 where there is one: abs without std:: may be the one for "
                        "integers, which drops all behind the point."));
  }
  return all;
}

// Exact numbers: the loss is the sum of the parameters, so that every slope is 1 to the bit.
void examine_ties(Exam& exam) {
  for (const double gradient : {1.0, 0.5, -1.0}) {
    exam.call(
        fmt::format("gradient_check of 3 parameters, every slope 1, every gradient {}", gradient));
    std::vector<double> params = {1, 2, 3};
    const std::vector<double> gradients(3, gradient);
    const auto sum = [](std::span<const double> p) { return p[0] + p[1] + p[2]; };
    const ref::GradientError found = ref::gradient_check(sum, params, gradients, 0.25);
    exam.expect_equal("index", found.index, 0,
                      {{2, "All errors are equal here, and the first counts: > where you have >=."},
                       {-1,
                        "-1 says that there are no parameters. Here there are three, all "
                        "right: the first counts, with its error of 0."}});
    exam.expect("numeric", Values{found.numeric}, Values{1.0}, {{"worst", 1}});
    exam.expect("error", Values{found.error}, Values{gradient < 0 ? 2.0 : 1 - gradient},
                {{"worst", 1}}, {.scale = 1, .factor = 64},
                error_mistakes(1.0, gradient, gradient < 0 ? 2.0 : 1 - gradient));
  }
}

void examine_check(Exam& exam) {
  constexpr double kStep = 0.01;
  for (const int n : {1, 2, 7}) {
    for (const int planted : {-1, 0, n - 1, n / 2}) {
      Values start = random_values(n, 3, 1.0, 2.0);
      const Values k = random_values(n, 4, 1.0, 3.0);
      for (double& value : start) value *= 1.1;  // no round numbers
      start[0] *= 1e-4;                          // smaller than the step
      std::vector<double> params(start), gradient, numeric;
      for (std::size_t i = 0; i < params.size(); ++i) {
        numeric.push_back(k[i] * (3 * params[i] * params[i] + kStep * kStep));
        gradient.push_back(numeric.back());
        if (static_cast<int>(i) == planted) gradient.back() *= 1.5;
        // A smaller mistake with a larger difference: what is compared must be relative.
        else if (planted >= 0) gradient.back() *= 1.001;
      }
      const auto call = fmt::format(
          "gradient_check of {} parameters{}", n,
          planted < 0 ? ", gradient right" : fmt::format(", gradient wrong at [{}]", planted));
      exam.call(call);
      int asked = 0;
      const Cubic cubic{k};
      const auto loss = [&](std::span<const double> p) {
        ++asked;
        return cubic(p);
      };
      const ref::GradientError found = ref::gradient_check(loss, params, gradient, kStep);
      exam.expect_true(
          params == start, "params are not as they were before the call",
          "Keep the value and put it back. Adding the step and taking it off again rounds.");
      exam.expect_true(
          asked == 2 * n,
          fmt::format("the loss was asked {} times; central differences ask 2 n = {} times", asked,
                      2 * n),
          "One-sided differences are off by the curvature times the step; two sides cancel that.");
      if (planted >= 0) {
        exam.expect_equal("index", found.index, planted,
                          {{n - 1,
                            "This is the last parameter, whose error is smaller: keep the "
                            "largest error so far, and replace it only by a larger one."}});
      }
      const auto at = static_cast<std::size_t>(std::max<std::int64_t>(found.index, 0));
      exam.expect_true(found.index >= 0 && found.index < n,
                       fmt::format("index is {}", found.index));
      exam.expect("numeric", Values{found.numeric}, Values{numeric[at]}, {{"worst", 1}},
                  {.factor = 64},
                  {gives({2 * numeric[at]}, "Twice the slope: the two points are 2 steps apart."),
                   gives({-numeric[at]}, "The sign: above minus below."),
                   gives({numeric[at] + 3 * k[at] * start[at] * kStep},
                         "One side only: that is off by the curvature times the step. Look above "
                         "and below.")});
      const double wanted = planted < 0 ? 0.0 : 0.5 / 1.5;
      exam.expect("error", Values{found.error}, Values{wanted}, {{"worst", 1}},
                  {.scale = 1, .factor = 64}, error_mistakes(numeric[at], gradient[at], wanted));
    }
  }
  examine_ties(exam);
  exam.call("gradient_check of 0 parameters");
  std::vector<double> none;
  const auto found =
      ref::gradient_check([](std::span<const double>) { return 0.0; }, none, none, kStep);
  exam.expect_equal("index", found.index, -1);
}

}  // namespace

std::vector<Task> tasks() {
  return {{"05.sgd_step", examine_step}, {"05.gradient_check", examine_check}};
}

}  // namespace tinygpt::lessons
