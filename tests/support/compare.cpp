#include "tests/support/compare.h"

#include <fmt/format.h>

#include <cmath>

namespace tinygpt::test {
namespace {

std::string coordinates(std::size_t index, const Shape& shape) {
  std::vector<std::size_t> place(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto size = static_cast<std::size_t>(shape[axis].size);
    place[axis] = index % size;
    index /= size;
  }
  std::string text = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    text += fmt::format("{}{}={}", axis > 0 ? ", " : "", shape[axis].name, place[axis]);
  }
  return text + "]";
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const Axis& axis : shape) text += fmt::format(" {}={}", axis.name, axis.size);
  return text;
}

}  // namespace

std::string difference(const std::string& what, std::span<const float> actual,
                       const std::vector<double>& expected, const Shape& shape,
                       const Tolerance& tolerance) {
  if (actual.size() != expected.size()) {
    return fmt::format("{}: {} values, expected {}", what, actual.size(), expected.size());
  }
  double scale = tolerance.scale;
  if (scale == 0) {
    for (const double e : expected) {
      if (std::isfinite(e)) scale = std::max(scale, std::abs(e));
    }
  }
  constexpr double kEps = 1.1920929e-7;
  const double allowed =
      tolerance.factor * kEps * std::sqrt(std::max(tolerance.terms, 1.0)) * scale;
  std::size_t wrong = 0, first = 0, worst = 0;
  double worst_error = -1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double a = actual[i], e = expected[i];
    double error = a == e || (std::isnan(a) && std::isnan(e)) ? 0.0 : std::abs(a - e);
    if (std::isnan(error)) error = INFINITY;  // one of them is NaN, or infinities disagree
    if (error > allowed) {
      if (wrong == 0) first = i;
      ++wrong;
    }
    if (error > worst_error) worst = i, worst_error = error;
  }
  if (wrong == 0) return "";
  return fmt::format(
      "{} ({} ): {} of {} values are wrong; first {}: expected {:.8g}, is {:.8g}; worst {}: "
      "expected "
      "{:.8g}, is {:.8g}, off by {:.3g} where {:.3g} is allowed",
      what, shape_text(shape), wrong, expected.size(), coordinates(first, shape), expected[first],
      actual[first], coordinates(worst, shape), expected[worst], actual[worst], worst_error,
      allowed);
}

}  // namespace tinygpt::test
