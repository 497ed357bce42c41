#include <cmath>
#include <cstdint>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

const std::vector<int> kLengths = {0, 1, 7, 8, 9, 15, 16, 17, 63, 65, 100, 1025, 50'021};

struct Size {
  int N, H;
};
const std::vector<Size> kSizes = {{0, 4}, {1, 1}, {2, 7}, {3, 16}, {4, 33}, {129, 257}};

}  // namespace

TEST_CASE("gelu_forward matches its equation", "[gelu][forward][lesson-05]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values in = random_values(n, 1, 3.0);
      const Exact expected = gelu_equation().forward({in});
      Sandbox s(i, "gelu_forward");
      const float* x = s.input(in);
      float* out = s.output(n);
      i.ops.gelu_forward(out, x, n);
      s.expect("out", out, expected.value, {{"i", n}},
               {.factor = 4, .magnitudes = expected.magnitude});
    }
  }
}

TEST_CASE("gelu_backward is the gradient of its equation", "[gelu][backward][lesson-05]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values in = random_values(n, 1, 2.0), dout = random_values(n, 2);
      const Exact expected = gelu_equation().backward({in}, dout)[0];
      Sandbox s(i, "gelu_backward");
      const float *x = s.input(in), *d = s.input(dout);
      float* dx = s.accumulator(n);
      i.ops.gelu_backward(dx, d, x, n);
      s.expect_added("dx", dx, expected.value, {{"i", n}},
                     {.factor = 4, .magnitudes = expected.magnitude});
    }
  }
}

// Cubes overflow where neither the result nor the slope does.
TEST_CASE("gelu stays finite and right far from zero", "[gelu][lesson-05]") {
  const Values in = {-1e30, -1e20, -1e6, -100, -20, -10, -0.0, 0.0, 1e-30, 10, 20, 100, 1e12, 1e30};
  const int n = static_cast<int>(in.size());
  Values expected, slope, magnitude;
  for (const double x : in) {
    // At -10 the result is 1e-37: zero is as good.
    magnitude.push_back(std::abs(x) > 5 && x < 0 ? 1e-24 : std::abs(x));
    expected.push_back(x > 5 ? x : x < -5 ? 0.0 : 0.5 * x);
    slope.push_back(x > 5 ? 1.0 : x < -5 ? 0.0 : 0.5);
  }
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "gelu");
    const float *x = s.input(in), *dout = s.input(Values(in.size(), 1.0));
    float *out = s.output(n), *dx = s.accumulator(Values(in.size(), 0.0));
    i.ops.gelu_forward(out, x, n);
    i.ops.gelu_backward(dx, dout, x, n);
    s.expect("out", out, expected, {{"i", n}}, {.magnitudes = magnitude});
    s.expect("dx", dx, slope, {{"i", n}}, {.scale = 1});
  }
}

TEST_CASE("swiglu_forward matches its equation", "[swiglu][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, H] : kSizes) {
      const Values in = random_values(std::int64_t{N} * 2 * H, 1, 3.0);
      const Exact expected = swiglu_equation(N, H).forward({in});
      Sandbox s(i, "swiglu_forward");
      const float* x = s.input(in);
      float* out = s.output(std::int64_t{N} * H);
      i.ops.swiglu_forward(out, x, N, H);
      s.expect("out", out, expected.value, {{"n", N}, {"h", H}},
               {.magnitudes = expected.magnitude});
    }
  }
}

TEST_CASE("swiglu's gate may be far from zero", "[swiglu][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "swiglu_forward");
    const float* x = s.input(Values{-1000, -100, 0, 100, 1000, 2, 2, 2, 2, 2});
    float* out = s.output(5);
    i.ops.swiglu_forward(out, x, 1, 5);
    s.expect("out", out, {0, 0, 0, 200, 2000}, {{"h", 5}});
  }
}

TEST_CASE("swiglu_backward is the gradient of its equation", "[swiglu][backward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, H] : kSizes) {
      const Values in = random_values(std::int64_t{N} * 2 * H, 1, 3.0);
      const Values dout = random_values(std::int64_t{N} * H, 2);
      const Exact expected = swiglu_equation(N, H).backward({in}, dout)[0];
      Sandbox s(i, "swiglu_backward");
      const float *x = s.input(in), *d = s.input(dout);
      float* dx = s.accumulator(std::int64_t{N} * 2 * H);
      i.ops.swiglu_backward(dx, d, x, N, H);
      s.expect_added("dx", dx, expected.value, {{"n", N}, {"gate or up", 2}, {"h", H}},
                     {.magnitudes = expected.magnitude});
    }
  }
}
