#include <cmath>
#include <cstdint>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/ops/cross_entropy.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, V;
};
const std::vector<Size> kSizes = {{0, 5},  {1, 1},  {3, 2},    {2, 7},   {4, 16},
                                  {5, 17}, {3, 65}, {2, 1000}, {300, 97}};

// exp(89) is infinite in float; at 1e4 the largest logit takes all.
const std::vector<double> kScales = {1.0, 30.0, 1e4};

// Repeated ones, the first and the last class, and one that does not count.
std::vector<int> some_targets(int N, int V) {
  std::vector<int> targets = random_tokens(N, V, 9);
  if (N > 1) targets[1] = kIgnoreTarget;
  if (N > 2) targets[2] = V - 1;
  if (N > 3) targets[3] = 0;
  return targets;
}

Tolerance within(const Exact& expected, double terms) {
  return {.terms = terms, .magnitudes = expected.magnitude};
}

}  // namespace

TEST_CASE("softmax_forward matches its equation, small and large",
          "[softmax][forward][lesson-04]") {
  for (const auto& [N, V] : kSizes) {
    const Shape shape = {{"n", N}, {"v", V}};
    for (const double scale : kScales) {
      const Values in = random_values(std::int64_t{N} * V, 1, scale);
      const Exact expected = softmax_equation(N, V).forward({in});
      for (const Implementation& i : implementations()) {
        if (too_much_to_watch(i, std::int64_t{N} * V)) continue;
        Sandbox s(i, "softmax_forward");
        const float* x = s.input(in);
        float *out = s.output(std::int64_t{N} * V), *both = s.accumulator(in);
        i.ops.softmax_forward(out, x, N, V);
        s.expect("out", out, expected.value, shape, within(expected, 1));
        i.ops.softmax_forward(both, both, N, V);
        s.expect("out in place of x", both, expected.value, shape, within(expected, 1));
      }
    }
  }
}

TEST_CASE("softmax gives masked entries probability zero", "[softmax][forward][lesson-04]") {
  Values in(33, -INFINITY), expected(33, 0.0);
  in[5] = 2, in[20] = 2, in[32] = -1e30;
  expected[5] = expected[20] = 0.5;
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "softmax_forward of a masked row");
    const float* x = s.input(in);
    float* out = s.output(33);
    i.ops.softmax_forward(out, x, 1, 33);
    s.expect("out", out, expected, {{"v", 33}});
  }
}

TEST_CASE("softmax_backward is the gradient of its equation", "[softmax][backward][lesson-04]") {
  for (const auto& [N, V] : kSizes) {
    for (const double scale : kScales) {
      const Values in = random_values(std::int64_t{N} * V, 1, scale);
      const Values probabilities = softmax_equation(N, V).forward({in}).value;
      const Values dout = random_values(std::int64_t{N} * V, 2);
      const Exact expected = softmax_equation(N, V).backward({in}, dout)[0];
      for (const Implementation& i : implementations()) {
        if (too_much_to_watch(i, std::int64_t{N} * V)) continue;
        Sandbox s(i, "softmax_backward");
        const float *out = s.input(probabilities), *d = s.input(dout);
        float* dx = s.accumulator(std::int64_t{N} * V);
        i.ops.softmax_backward(dx, d, out, N, V);
        s.expect_added("dx", dx, expected.value, {{"n", N}, {"v", V}}, within(expected, V));
      }
    }
  }
}

TEST_CASE("cross_entropy_forward matches its equation, small and large",
          "[cross_entropy][forward][lesson-04]") {
  for (const auto& [N, V] : kSizes) {
    for (const double scale : kScales) {
      const Values in = random_values(std::int64_t{N} * V, 1, scale);
      const std::vector<int> right = some_targets(N, V);
      const Exact expected = cross_entropy_equation(V, right).forward({in});
      const Exact expected_lse = log_sum_exp(in, N, V);
      for (const Implementation& i : implementations()) {
        if (too_much_to_watch(i, std::int64_t{N} * V)) continue;
        Sandbox s(i, "cross_entropy_forward");
        const float* logits = s.input(in);
        const int* targets = s.input(right);
        float *losses = s.output(N), *lse = s.output(N);
        i.ops.cross_entropy_forward(losses, lse, logits, targets, N, V);
        s.expect("losses", losses, expected.value, {{"n", N}}, within(expected, 1));
        s.expect("lse", lse, expected_lse.value, {{"n", N}}, within(expected_lse, 1));
      }
    }
  }
}

TEST_CASE("a sure and right prediction has loss zero, not a rounding of its logits",
          "[cross_entropy][forward][lesson-04]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "cross_entropy_forward");
    const float* logits = s.input(Values{1e4, 0, 0});
    const int* targets = s.input(std::vector<int>{0});
    float *losses = s.output(1), *lse = s.output(1);
    i.ops.cross_entropy_forward(losses, lse, logits, targets, 1, 3);
    s.expect("losses", losses, {0.0}, {{"n", 1}});
  }
}

TEST_CASE("cross-entropy bears classes that are masked out", "[cross_entropy][lesson-04]") {
  const Values in = {0.5, -INFINITY, 1.5, -INFINITY, -INFINITY};
  const double lse_in = std::log(std::exp(0.5) + std::exp(1.5));
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "cross-entropy of a masked row");
    const float* logits = s.input(in);
    const int* targets = s.input(std::vector<int>{2});
    float *losses = s.output(1), *lse = s.output(1), *dx = s.accumulator(5, 7);
    i.ops.cross_entropy_forward(losses, lse, logits, targets, 1, 5);
    s.expect("losses", losses, {lse_in - 1.5}, {{"n", 1}}, {.scale = 4});
    i.ops.softmax_cross_entropy_backward(dx, logits, lse, targets, 1, 5, 1.0f);
    const double p = std::exp(0.5 - lse_in);
    s.expect_added("dlogits", dx, {p, 0, -p, 0, 0}, {{"v", 5}}, {.scale = 2});
  }
}

TEST_CASE("softmax_cross_entropy_backward is the gradient of its equation, apart and in place",
          "[cross_entropy][backward][lesson-04]") {
  constexpr float kScale = 0.25f;
  for (const auto& [N, V] : kSizes) {
    const Shape shape = {{"n", N}, {"v", V}};
    for (const double scale : {2.0, 30.0, 1e3}) {
      const Values in = random_values(std::int64_t{N} * V, 1, scale);
      const std::vector<int> right = some_targets(N, V);
      const Values lse_in = log_sum_exp(in, N, V).value;
      const Exact expected = cross_entropy_equation(V, right).backward(
          {in}, Values(static_cast<std::size_t>(N), kScale))[0];
      for (const Implementation& i : implementations()) {
        Sandbox s(i, "softmax_cross_entropy_backward");
        const float *logits = s.input(in), *lse = s.input(lse_in);
        const int* targets = s.input(right);
        float *dx = s.accumulator(std::int64_t{N} * V), *both = s.accumulator(in);
        i.ops.softmax_cross_entropy_backward(dx, logits, lse, targets, N, V, kScale);
        s.expect_added("dlogits", dx, expected.value, shape, within(expected, 1));
        i.ops.softmax_cross_entropy_backward(both, both, lse, targets, N, V, kScale);
        s.expect("dlogits in place of logits", both, expected.value, shape, within(expected, 1));
      }
    }
  }
}
