// The tests' own instruments: whatever they must notice, they are shown.
#include "tests/support/sandbox.h"

#include <cmath>
#include <limits>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

const Implementation kHost = {.name = "this test", .ops = {}};

std::string compared(std::vector<float> actual, const Values& expected,
                     const Tolerance& tolerance = {}) {
  return difference("it", actual, expected, {{"t", 2}, {"c", 3}}, tolerance);
}

}  // namespace

TEST_CASE("the comparator reports the first and the worst place", "[harness]") {
  const Values expected = {1, 2, 3, 4, 5, 6};
  CHECK(compared({1, 2, 3, 4, 5, 6}, expected).empty());
  const std::string message = compared({1, 2, 3.5f, 4, 9, 6}, expected);
  CHECK_THAT(message, ContainsSubstring("2 of 6 values are wrong"));
  CHECK_THAT(message, ContainsSubstring("first [t=0, c=2]: expected 3, is 3.5"));
  CHECK_THAT(message, ContainsSubstring("worst [t=1, c=1]: expected 5, is 9"));
  CHECK_THAT(message, ContainsSubstring("seed "));
}

TEST_CASE("the comparator passes no NaN and no wrong infinity", "[harness]") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Values expected = {1, 2, 3, 4, 5, 6};
  CHECK_FALSE(compared({1, 2, 3, kNan, 5, 6}, expected).empty());
  CHECK_FALSE(compared({1, 2, 3, kInfinity, 5, 6}, expected, {.scale = 1e30}).empty());
  const Values infinite = {1, 2, 3, kInfinity, 5, 6};
  CHECK(compared({1, 2, 3, kInfinity, 5, 6}, infinite).empty());
  CHECK_FALSE(compared({1, 2, 3, -kInfinity, 5, 6}, infinite).empty());
  CHECK_FALSE(compared({1, 2, 3, 1e38f, 5, 6}, infinite).empty());
  // An oracle that gives NaN, or cannot say how much is allowed, proves nothing.
  CHECK_FALSE(compared({1, 2, 3, kNan, 5, 6}, {1, 2, 3, kNan, 5, 6}).empty());
  CHECK_FALSE(compared({1, 2, 3, 4.1f, 5, 6}, expected, {.magnitudes = Values(6, kNan)}).empty());
}

TEST_CASE("the comparator allows what the terms' number and size explain", "[harness]") {
  const Values expected(6, 1.0);
  const std::vector<float> close(6, 1.0f + 0x1p-20f), far(6, 1.0f + 0x1p-18f);
  CHECK(compared(close, expected).empty());
  CHECK_FALSE(compared(far, expected).empty());
  CHECK(compared(far, expected, {.terms = 100}).empty());
  CHECK(compared(far, expected, {.scale = 10}).empty());
  CHECK(compared(far, expected, {.magnitudes = Values(6, 10.0)}).empty());
  CHECK_FALSE(compared(close, expected, {.factor = 0}).empty());
  CHECK_THROWS_AS(compared({1, 2}, expected), Error);
}

TEST_CASE("a sandbox notices values that were not written, or not added to", "[harness]") {
  Sandbox s(kHost, "an operator");
  float *out = s.output(4), *sum = s.accumulator(Values{1, 2});
  for (int k = 0; k < 3; ++k) out[k] = 1;
  CHECK_THAT(s.problem("out", out, Values(4, 1.0), {{"i", 4}}), ContainsSubstring("[i=3]"));
  out[3] = 1;
  CHECK(s.problem("out", out, Values(4, 1.0), {{"i", 4}}).empty());
  s.expect_added("sum", sum, {0, 0}, {{"i", 2}});
  sum[0] += 5, sum[1] += 7;
  s.expect_added("sum", sum, {5, 7}, {{"i", 2}});
  CHECK_THROWS_AS(s.values(out + 1), Error);
}

#if !defined(__SANITIZE_ADDRESS__)  // it would stop the program at these writes, as it should
TEST_CASE("a sandbox notices writes around its buffers", "[harness]") {
  for (const int place : {-1, -60, 4, 50}) {
    Sandbox s(kHost, "an operator");
    float *first = s.output(4), *out = s.output(4), *last = s.output(4);
    for (int k = 0; k < 4; ++k) first[k] = out[k] = last[k] = 0;
    CHECK(s.problem("out", out, Values(4, 0.0), {{"i", 4}}).empty());
    out[place] = 0;
    CHECK_THAT(
        s.problem("out", out, Values(4, 0.0), {{"i", 4}}),
        ContainsSubstring("argument 2") && ContainsSubstring("at [" + std::to_string(place) + "]"));
  }
}

TEST_CASE("a value read from outside of a buffer spoils the result", "[harness]") {
  Sandbox s(kHost, "an operator");
  const float* x = s.input(Values{1, 2});
  const int* tokens = s.input(std::vector<int>{0, 1});
  CHECK(std::isnan(x[-1] + x[2] * 0));
  CHECK(tokens[2] > 1'000'000'000);
}
#endif

TEST_CASE("a sandbox notices a changed input", "[harness]") {
  Sandbox s(kHost, "an operator");
  const float* x = s.input(Values{1, 2, 3});
  const int* tokens = s.input(std::vector<int>{4, 5});
  CHECK(s.problem("x", x, {1, 2, 3}, {{"i", 3}}).empty());
  const_cast<float*>(x)[2] = 7;
  CHECK_THAT(s.problem("x", x, {1, 2, 7}, {{"i", 3}}), ContainsSubstring("it is an input"));
  const_cast<float*>(x)[2] = 3;
  const_cast<int*>(tokens)[0] = 9;
  CHECK_THAT(s.problem("x", x, {1, 2, 3}, {{"i", 3}}), ContainsSubstring("it is an input"));
}

TEST_CASE("what cannot run here says so and why", "[harness]") {
  for (const Skipped& skipped : skipped_implementations()) {
    INFO(skipped.name);
    CHECK_FALSE(skipped.why.empty());
    WARN(skipped.name << ": skipped: " << skipped.why);
  }
  CHECK(implementations().size() >= 2);
}
