#include "tinygpt/core/random.h"

#include <array>
#include <cmath>

#include "tests/support/catch.h"

using namespace tinygpt;

TEST_CASE("Random draws uniform integers without bias", "[core]") {
  Random random{3};
  std::array<int, 7> counts{};
  constexpr int kDraws = 70'000;
  for (int i = 0; i < kDraws; ++i) ++counts[random.below(7)];
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - kDraws / 7.0, 2) / (kDraws / 7.0);
  CHECK(chi_square < 22.5);  // 6 degrees of freedom: exceeded once in a thousand
}

TEST_CASE("Random's normals have mean 0 and variance 1", "[core]") {
  Random random{4};
  double sum = 0, squares = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    REQUIRE(std::isfinite(x));
    sum += x;
    squares += x * x;
  }
  CHECK(std::abs(sum / kDraws) < 4 / std::sqrt(kDraws));
  CHECK(std::abs(squares / kDraws - 1) < 4 * std::sqrt(2.0 / kDraws));
}

TEST_CASE("Random goes on from a copied state", "[core]") {
  Random a{5, 0, 2};
  for (int i = 0; i < 10; ++i) a.next_u64();
  Random b = a;
  CHECK(a.next_u64() == b.next_u64());
  Random other{5, a.counter, 3};
  CHECK(a.next_u64() != other.next_u64());
}
