// Random inputs for tests, the same in every run.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/compare.h"

namespace tinygpt::test {

// Shifts every seed below: 0, or what TINYGPT_TEST_SEED says, to run the tests on other numbers.
std::uint64_t test_seed();

// Normal values that a float holds exactly, so that oracle and kernel start from the same numbers.
Values random_values(std::int64_t n, std::uint64_t seed, double scale = 1.0, double mean = 0.0);

// Tokens below V. Where n > V, some of them repeat.
std::vector<int> random_tokens(std::int64_t n, int V, std::uint64_t seed);

}  // namespace tinygpt::test
