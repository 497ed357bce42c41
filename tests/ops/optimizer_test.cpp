#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct State {
  Values param, m, v;
};

// Algorithm 2 of Loshchilov and Hutter in double, with its sums' magnitudes left to the caller.
void adamw(State& state, const Values& grad, const AdamwSettings& s) {
  const double b1 = s.beta1, b2 = s.beta2;
  for (std::size_t k = 0; k < grad.size(); ++k) {
    auto &param = state.param[k], &m = state.m[k], &v = state.v[k];
    m = b1 * m + (1 - b1) * grad[k];
    v = b2 * v + (1 - b2) * grad[k] * grad[k];
    const double mhat = m / (1 - std::pow(b1, s.step)), vhat = v / (1 - std::pow(b2, s.step));
    param = param - double{s.lr} * s.weight_decay * param - s.lr * mhat / (std::sqrt(vhat) + s.eps);
  }
}

AdamwSettings settings(float eps) {
  return {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = eps, .weight_decay = 0.1f, .step = 1};
}

}  // namespace

TEST_CASE("ten steps of adamw match the algorithm in double", "[adamw][lesson-13]") {
  for (const Implementation& i : implementations()) {
    for (const int n : {0, 1, 7, 16, 33, 5000, 50'021}) {
      if (too_much_to_watch(i, n)) continue;
      for (const float eps : {1e-8f, 0.3f}) {  // a large one shows where it is added
        const auto count = static_cast<std::size_t>(n);
        State expected{random_values(n, 1), Values(count, 0.0), Values(count, 0.0)};
        Sandbox s(i, "adamw_step");
        float* param = s.accumulator(expected.param);
        float *m = s.accumulator(expected.m), *v = s.accumulator(expected.v);
        AdamwSettings at = settings(eps);
        for (at.step = 1; at.step <= 10; ++at.step) {
          const Values gradient = random_values(n, 10 + static_cast<std::uint64_t>(at.step), 0.5);
          i.ops.adamw_step(param, nullptr, m, v, s.input(gradient), n, at);
          adamw(expected, gradient, at);
        }
        // Ten roundings each; an update is at most about lr times a small number.
        s.expect("param", param, expected.param, {{"i", n}},
                 {.terms = 10, .scale = 4, .factor = 2});
        s.expect("m", m, expected.m, {{"i", n}}, {.terms = 10, .scale = 1});
        s.expect("v", v, expected.v, {{"i", n}}, {.terms = 10, .scale = 2});
      }
    }
  }
}

TEST_CASE("adamw's first step has the size of the learning rate", "[adamw][lesson-13]") {
  // m / sqrt(v) is 1 or -1 after the corrections, however small the gradient.
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "adamw_step");
    float *param = s.accumulator(Values{1, 1, 1}), *m = s.accumulator(Values(3, 0.0));
    float* v = s.accumulator(Values(3, 0.0));
    const float* grad = s.input(Values{1e-3, -5, 0});
    AdamwSettings at = settings(1e-8f);
    at.lr = 0.5f, at.weight_decay = 0;
    i.ops.adamw_step(param, nullptr, m, v, grad, 3, at);
    s.expect("param", param, {0.5, 1.5, 1}, {{"i", 3}}, {.factor = 100});
  }
}

TEST_CASE("weight decay does not pass through the moments", "[adamw][lesson-13]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "adamw_step");
    float *param = s.accumulator(Values{2, -4}), *m = s.accumulator(Values(2, 0.0));
    float* v = s.accumulator(Values(2, 0.0));
    const float* grad = s.input(Values{0, 0});
    AdamwSettings at = settings(1e-8f);
    at.lr = 0.1f, at.weight_decay = 0.5f;
    i.ops.adamw_step(param, nullptr, m, v, grad, 2, at);
    s.expect("param", param, {1.9, -3.8}, {{"i", 2}}, {.factor = 2});
    s.expect("m", m, {0, 0}, {{"i", 2}});
    s.expect("v", v, {0, 0}, {{"i", 2}});
  }
}

TEST_CASE("adamw refuses to count its steps from 0", "[adamw][lesson-13]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "adamw_step");
    float *param = s.accumulator(3), *m = s.accumulator(3), *v = s.accumulator(3);
    AdamwSettings at = settings(1e-8f);
    at.step = 0;
    CHECK_THROWS_AS(i.ops.adamw_step(param, nullptr, m, v, s.input(Values(3, 1.0)), 3, at), Error);
  }
}

TEST_CASE("gradient_norm sums over everything, and loses no digits on the way",
          "[gradient_norm][lesson-13]") {
  for (const Implementation& i : implementations()) {
    for (const int n : {0, 1, 15, 16, 17, 65'535, 65'537, 200'003}) {
      const Values gradient = random_values(n, 1);
      double squares = 0;
      for (const double g : gradient) squares += g * g;
      Sandbox s(i, "gradient_norm");
      const float* grad = s.input(gradient);
      float *norm = s.output(1), *scratch = s.scratch(i.ops.gradient_norm_scratch_size(n));
      i.ops.gradient_norm(norm, grad, scratch, n);
      s.expect("norm", norm, {std::sqrt(squares)}, {{"norm", 1}}, {.factor = 2});
    }
  }
}

TEST_CASE("gradient_norm bears squares that no float holds", "[gradient_norm][lesson-13]") {
  const Values gradient(50, 1e25);
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "gradient_norm");
    const float* grad = s.input(gradient);
    float *norm = s.output(1), *scratch = s.scratch(i.ops.gradient_norm_scratch_size(50));
    i.ops.gradient_norm(norm, grad, scratch, 50);
    s.expect("norm", norm, {1e25 * std::sqrt(50.0)}, {{"norm", 1}});
  }
}

TEST_CASE("gradient_norm lets a NaN and an infinity be seen", "[gradient_norm][lesson-13]") {
  for (const Implementation& i : implementations()) {
    for (const double bad : {double{NAN}, double{INFINITY}}) {
      Values gradient = random_values(40, 1);
      gradient[33] = bad;
      Sandbox s(i, "gradient_norm");
      const float* grad = s.input(gradient);
      float *norm = s.output(1), *scratch = s.scratch(i.ops.gradient_norm_scratch_size(40));
      i.ops.gradient_norm(norm, grad, scratch, 40);
      INFO(i.name);
      CHECK_FALSE(std::isfinite(s.values(norm)[0]));
    }
  }
}

TEST_CASE("clip_gradients shortens what is too long and nothing else",
          "[gradient_norm][lesson-13]") {
  for (const Implementation& i : implementations()) {
    for (const int n : {0, 1, 17, 5000, 50'021}) {
      const Values gradient = random_values(n, 1);
      const auto expect_factor = [&](double factor, float norm_in, float limit) {
        Values expected = gradient;
        for (double& g : expected) g *= factor;
        Sandbox s(i, "clip_gradients");
        const float* norm = s.input(Values{norm_in});
        float* grad = s.accumulator(gradient);
        i.ops.clip_gradients(grad, norm, n, limit);
        s.expect("grad", grad, expected, {{"i", n}}, {.factor = factor == 1 ? 0.0 : 2.0});
      };
      expect_factor(1, 2.0f, 2.0f);
      expect_factor(1, 1.0f, 2.0f);
      expect_factor(1, std::numeric_limits<float>::quiet_NaN(), 2.0f);
      expect_factor(1, std::numeric_limits<float>::infinity(), 2.0f);
      expect_factor(0.5, 4.0f, 2.0f);
      expect_factor(0.0002, 1e4f, 2.0f);
    }
  }
}
