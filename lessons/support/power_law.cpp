#include "lessons/support/power_law.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

using Points = std::vector<std::pair<double, double>>;

struct Line {
  double intercept, slope;
};

// y = intercept + slope x with the least sum of weight (difference)^2; level where all x are the
// same.
Line fit_line(const Points& points, const std::vector<double>& weights) {
  double all = 0, mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  for (const double weight : weights) all += weight;
  for (std::size_t i = 0; i < points.size(); ++i) {
    mean_x += weights[i] / all * points[i].first;
    mean_y += weights[i] / all * points[i].second;
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double dx = points[i].first - mean_x;
    xx += weights[i] * dx * dx;
    xy += weights[i] * dx * (points[i].second - mean_y);
  }
  const double slope = xx > 0 ? xy / xx : 0;
  return {mean_y - slope * mean_x, slope};
}

double error_of(const PowerLaw& law, const Points& points, double at_least) {
  double sum = 0;
  for (const auto& [x, y] : points) {
    const double share = (y - law(x)) / (y - at_least);
    sum += share * share;
  }
  return std::sqrt(sum / static_cast<double>(points.size()));
}

// The best floor and scale for this exponent.
PowerLaw with_exponent(const Points& points, double exponent, double at_least) {
  Points transformed;
  std::vector<double> weights;
  double square = 0, product = 0;
  for (const auto& [x, y] : points) {
    const double power = std::pow(x, -exponent), above = y - at_least;
    transformed.emplace_back(power, y);
    weights.push_back(1 / (above * above));
    square += weights.back() * power * power;
    product += weights.back() * power * above;
  }
  const Line line = fit_line(transformed, weights);
  PowerLaw law{line.intercept, line.slope, exponent};
  if (law.floor < at_least) law = {at_least, product / square, exponent};
  law.error = error_of(law, points, at_least);
  return law;
}

}  // namespace

double PowerLaw::operator()(double x) const { return floor + scale * std::pow(x, -exponent); }

PowerLaw fit_power_law(const Points& points, double at_least) {
  check(points.size() >= 3, "a power law with a floor needs at least three points");
  for (const auto& [x, y] : points) {
    check(x > 0, "a power law needs a positive x");
    check(y > at_least, "a power law above a floor needs values above it");
  }
  // In units of the smallest x, where no power is too large or too small.
  const double unit = std::ranges::min_element(points)->first;
  Points scaled = points;
  for (auto& point : scaled) point.first /= unit;
  constexpr double kStep = 1.055;  // 0.02 * 1.055^99 is 4
  PowerLaw best = with_exponent(scaled, 0.02, at_least);
  for (double exponent = 0.02; exponent <= 4; exponent *= kStep) {
    const PowerLaw law = with_exponent(scaled, exponent, at_least);
    if (law.error < best.error) best = law;
  }
  double low = best.exponent / kStep, high = best.exponent * kStep;
  for (int i = 0; i < 60; ++i) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    const bool left =
        with_exponent(scaled, a, at_least).error < with_exponent(scaled, b, at_least).error;
    (left ? high : low) = left ? b : a;
  }
  best = with_exponent(scaled, std::clamp((low + high) / 2, 0.02, 4.0), at_least);
  best.scale *= std::pow(unit, best.exponent);
  return best;
}

PowerLaw fit_power_law_above(const Points& points, double floor) {
  check(points.size() >= 2, "a power law needs at least two points");
  Points logs;
  for (const auto& [x, y] : points) {
    check(x > 0, "a power law needs a positive x");
    check(y > floor, "a power law above a floor needs values above it");
    logs.emplace_back(std::log(x), std::log(y - floor));
  }
  const Line line = fit_line(logs, std::vector<double>(logs.size(), 1.0));
  PowerLaw law{floor, std::exp(line.intercept), -line.slope};
  law.error = error_of(law, points, floor);
  return law;
}

}  // namespace tinygpt::lessons
