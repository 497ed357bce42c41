#include "lessons/support/power_law.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

using Points = std::vector<std::pair<double, double>>;

Points points_of(const PowerLaw& law, const std::vector<double>& xs) {
  Points points;
  for (const double x : xs) points.emplace_back(x, law(x));
  return points;
}

const std::vector<double> kSizes = {5e3, 14e3, 41e3, 131e3, 459e3};

}  // namespace

TEST_CASE("a power law is found again from its own points", "[lessons][power-law]") {
  for (const PowerLaw law : {PowerLaw{0.6, 20, 0.34}, PowerLaw{1.69, 406, 0.28},
                             PowerLaw{0, 3, 0.076}, PowerLaw{0.1, 5e5, 1.4}}) {
    const PowerLaw found = fit_power_law(points_of(law, kSizes));
    CHECK(std::abs(found.exponent - law.exponent) < 1e-3 * law.exponent + 1e-4);
    CHECK(std::abs(found.floor - law.floor) < 0.01);
    CHECK(found.error < 1e-4);
    const PowerLaw above = fit_power_law_above(points_of(law, kSizes), law.floor);
    CHECK(std::abs(above.exponent - law.exponent) < 1e-9);
    CHECK(std::abs(above.scale - law.scale) < 1e-6 * law.scale);
  }
}

TEST_CASE("a power law does not go below the floor that is given", "[lessons][power-law]") {
  const Points points = points_of({0.2, 20, 0.34}, kSizes);
  CHECK(fit_power_law(points, 0.4).floor >= 0.4);
  CHECK(std::abs(fit_power_law(points, 0.1).floor - 0.2) < 0.01);
}

TEST_CASE("a power law is fitted to points with noise", "[lessons][power-law]") {
  Points points = points_of({0.5, 30, 0.4}, kSizes);
  double sign = 1;
  for (auto& point : points) point.second *= 1 + 0.002 * (sign = -sign);
  const PowerLaw found = fit_power_law(points);
  CHECK(std::abs(found.exponent - 0.4) < 0.06);
  CHECK(found.error < 0.003);
  for (const double change : {-0.01, 0.01}) {  // nothing near it is better
    for (PowerLaw other : {PowerLaw{found.floor + change, found.scale, found.exponent},
                           PowerLaw{found.floor, found.scale * (1 + change), found.exponent},
                           PowerLaw{found.floor, found.scale, found.exponent * (1 + change)}}) {
      double sum = 0;
      for (const auto& [x, y] : points) sum += (1 - other(x) / y) * (1 - other(x) / y);
      CHECK(std::sqrt(sum / 5) >= found.error);
    }
  }
}

TEST_CASE("power laws refuse points that have none", "[lessons][power-law]") {
  CHECK_THROWS_AS(fit_power_law({{1, 2}, {2, 1}}), Error);
  CHECK_THROWS_AS(fit_power_law({{0, 2}, {2, 1}, {3, 0.5}}), Error);
  CHECK_THROWS_AS(fit_power_law({{1, 2}, {2, 1}, {3, 0.5}}, 0.5), Error);
  CHECK_THROWS_AS(fit_power_law_above({{1, 2}}, 0), Error);
  CHECK_THROWS_AS(fit_power_law_above({{1, 2}, {2, 1}}, 1), Error);
}
