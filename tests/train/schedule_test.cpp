#include "solutions/13-training-loop/schedule.h"

#include "tests/support/catch.h"

using namespace tinygpt;
using tinygpt::ref::learning_rate_at;

TEST_CASE("the learning rate warms up, falls along a cosine and stays",
          "[learning_rate_at][lesson-13]") {
  const ref::Schedule s{1.0f, 0.1f, 4, 12};
  CHECK(learning_rate_at(0, s) == Approx(0.2));
  CHECK(learning_rate_at(1, s) == Approx(0.4));
  CHECK(learning_rate_at(3, s) == Approx(0.8));
  CHECK(learning_rate_at(4, s) == Approx(1.0));
  CHECK(learning_rate_at(6, s) == Approx(0.1 + 0.9 * 0.8535533906));   // (1 + cos(pi / 4)) / 2
  CHECK(learning_rate_at(8, s) == Approx(0.55));                       // half way: the mean
  CHECK(learning_rate_at(10, s) == Approx(0.1 + 0.9 * 0.1464466094));  // (1 + cos(3 pi / 4)) / 2
  CHECK(learning_rate_at(12, s) == Approx(0.1));
  CHECK(learning_rate_at(1'000'000, s) == Approx(0.1));
}

TEST_CASE("a schedule without warm-up starts at the top", "[learning_rate_at][lesson-13]") {
  CHECK(learning_rate_at(0, {1e-3f, 1e-4f, 0, 10}) == Approx(1e-3));
}

TEST_CASE("a schedule that is all warm-up never divides by zero", "[learning_rate_at][lesson-13]") {
  const ref::Schedule s{1.0f, 0.1f, 5, 5};
  CHECK(learning_rate_at(4, s) == Approx(5.0 / 6.0));
  CHECK(learning_rate_at(5, s) == Approx(0.1));
}
