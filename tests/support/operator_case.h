// What the operators' tests have in common.
#pragma once

#include "tests/support/catch.h"
#include "tests/support/compare.h"
#include "tests/support/gradients.h"
#include "tests/support/guarded.h"
#include "tests/support/implementations.h"

// Fails with the message of `difference`, or passes where that is empty.
#define CHECK_SAME(...)                                                  \
  do {                                                                   \
    const std::string problem_ = tinygpt::test::difference(__VA_ARGS__); \
    INFO(problem_);                                                      \
    CHECK(problem_.empty());                                             \
  } while (false)

namespace tinygpt::test {

// Accumulators start with values, so that an assignment in the place of an addition shows.
inline Guarded accumulator(std::int64_t n, std::uint64_t seed) {
  return Guarded(random_values(n, seed));
}

// start + gradient: what an accumulator must hold afterwards.
inline Values added(const Values& start, const Values& gradient) {
  Values sum(start.size());
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = start[i] + gradient[i];
  return sum;
}

}  // namespace tinygpt::test
