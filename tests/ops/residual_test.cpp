#include <cmath>
#include <cstdint>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

const std::vector<int> kLengths = {0, 1, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1025, 100'003};

Values added(const Values& a, const Values& b) {
  Values sum = a;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
  return sum;
}

// What the contract says, number by number.
Values dropped(const Values& x, float p, std::uint64_t seed, std::uint64_t stream) {
  Values out = x;
  for (std::uint64_t i = 0; i < x.size(); ++i) {
    const float u = uniform_from_bits(philox4x32(seed, i / 4, stream)[i % 4]);
    out[i] = u < p ? 0 : x[i] / (1 - double{p});
  }
  return out;
}

}  // namespace

TEST_CASE("residual_forward adds, also in place", "[residual][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values a_in = random_values(n, 1), b_in = random_values(n, 2);
      Sandbox s(i, "residual_forward");
      const float *a = s.input(a_in), *b = s.input(b_in);
      float *out = s.output(n), *left = s.accumulator(a_in), *right = s.accumulator(b_in);
      i.ops.residual_forward(out, a, b, n);
      i.ops.residual_forward(left, left, b, n);
      i.ops.residual_forward(right, a, right, n);
      s.expect("out", out, added(a_in, b_in), {{"i", n}}, {.factor = 1});
      s.expect("out in place of a", left, added(a_in, b_in), {{"i", n}}, {.factor = 1});
      s.expect("out in place of b", right, added(a_in, b_in), {{"i", n}}, {.factor = 1});
    }
  }
}

TEST_CASE("residual_backward passes the gradient to both sides",
          "[residual][backward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values dout = random_values(n, 3);
      Sandbox s(i, "residual_backward");
      const float* d = s.input(dout);
      float *da = s.accumulator(n, 4), *db = s.accumulator(n, 5);
      i.ops.residual_backward(da, db, d, n);
      s.expect_added("da", da, dout, {{"i", n}}, {.factor = 1});
      s.expect_added("db", db, dout, {{"i", n}}, {.factor = 1});

      // One buffer for the stream: da is dout, and holds the gradient already.
      float *stream = s.accumulator(dout), *branch = s.accumulator(n, 6);
      i.ops.residual_backward(stream, branch, stream, n);
      s.expect("da that is dout", stream, dout, {{"i", n}}, {.factor = 0});
      s.expect_added("db beside it", branch, dout, {{"i", n}}, {.factor = 1});
    }
  }
}

TEST_CASE("dropout_forward zeroes what the contract's random numbers say",
          "[dropout][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      for (const float p : {0.0f, 0.1f, 0.75f}) {
        const Values in = random_values(n, 1);
        Sandbox s(i, "dropout_forward");
        const float* x = s.input(in);
        float *out = s.output(n), *both = s.accumulator(in);
        const std::uint64_t seed = (std::uint64_t{5} << 40) + 11,
                            stream = (std::uint64_t{3} << 33) + 2;
        i.ops.dropout_forward(out, x, n, p, seed, stream);
        s.expect("out", out, dropped(in, p, seed, stream), {{"i", n}}, {.factor = 2});
        i.ops.dropout_forward(both, both, n, p, seed, stream);
        s.expect("out in place of x", both, dropped(in, p, seed, stream), {{"i", n}},
                 {.factor = 2});
      }
    }
  }
}

TEST_CASE("dropout_backward zeroes the same ones, and adds or replaces",
          "[dropout][backward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      for (const float p : {0.0f, 0.4f}) {
        const Values dout = random_values(n, 1), expected = dropped(dout, p, 7, 3);
        Sandbox s(i, "dropout_backward");
        const float* d = s.input(dout);
        float *dx = s.accumulator(n), *both = s.accumulator(dout);
        i.ops.dropout_backward(dx, d, n, p, 7, 3);
        s.expect_added("dx", dx, expected, {{"i", n}}, {.factor = 2});
        i.ops.dropout_backward(both, both, n, p, 7, 3);
        s.expect("dx in place of dout", both, expected, {{"i", n}}, {.factor = 2});
      }
    }
  }
}

TEST_CASE("dropout keeps the expectation", "[dropout][forward][lesson-10]") {
  constexpr int kCount = 100'003;
  for (const Implementation& i : implementations()) {
    for (const float p : {0.1f, 0.5f, 0.9f}) {
      Sandbox s(i, "dropout_forward");
      const float* x = s.input(Values(kCount, 1.0));
      float* out = s.output(kCount);
      i.ops.dropout_forward(out, x, kCount, p, 7 + test_seed(), 3);
      double sum = 0;
      for (const double value : s.values(out)) sum += value;
      INFO(i.name << " p=" << p << " seed " << test_seed());
      // Five standard deviations of the mean of scaled coin throws.
      CHECK(std::abs(sum / kCount - 1) < 5 * std::sqrt(p / (1 - p) / kCount));
    }
  }
}

TEST_CASE("dropout refuses to drop everything or less than nothing", "[dropout][lesson-10]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "dropout");
    float *out = s.accumulator(4), *x = s.accumulator(4);
    for (const float p : {1.0f, -0.1f, 2.0f, NAN}) {
      INFO(i.name << " p=" << p);
      CHECK_THROWS_AS(i.ops.dropout_forward(out, x, 4, p, 1, 2), Error);
      CHECK_THROWS_AS(i.ops.dropout_backward(out, x, 4, p, 1, 2), Error);
    }
  }
}
