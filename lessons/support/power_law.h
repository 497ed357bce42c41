// Power laws: how a loss falls as something grows.
#pragma once

#include <utility>
#include <vector>

namespace tinygpt::lessons {

// y = floor + scale x^(-exponent)
struct PowerLaw {
  double floor = 0, scale = 0, exponent = 0;
  double error = 0;  // the root of the mean square of what the fit is off by, see below
  double operator()(double x) const;
};

// The power law with the least squares of differences to the points (x, y), each as a share of
// y - at_least: a small loss counts as much as a large one. For a given exponent floor and scale
// are a straight line's, which has a formula; the exponent, from 0.02 to 4, is found by trying a
// hundred and then closing in on the best. The floor is at least `at_least`. Throws Error where
// there are fewer than three points, an x is not positive, or a y not above `at_least`.
PowerLaw fit_power_law(const std::vector<std::pair<double, double>>& points, double at_least = 0);

// The same for a floor that is known: a straight line through log(y - floor) against log x. Throws
// Error where there are fewer than two points, an x is not positive, or a y not above the floor.
PowerLaw fit_power_law_above(const std::vector<std::pair<double, double>>& points, double floor);

}  // namespace tinygpt::lessons
