#include "tests/support/compare.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "tests/support/random_values.h"
#include "tinygpt/core/error.h"

namespace tinygpt::test {
namespace {

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const Axis& axis : shape) text += fmt::format("{} {}, ", axis.size, axis.name);
  return text;
}

std::int64_t shape_size(const Shape& shape) {
  std::int64_t size = 1;
  for (const Axis& axis : shape) size *= axis.size;
  return size;
}

// The error that each value may have.
Values allowances(const Values& expected, const Tolerance& tolerance) {
  double scale = tolerance.scale;
  if (scale == 0) {
    for (const double e : expected) {
      if (std::isfinite(e)) scale = std::max(scale, std::abs(e));
    }
  }
  const double share =
      tolerance.factor * tolerance.epsilon * std::sqrt(std::max(tolerance.terms, 1.0));
  Values allowed(expected.size(), share * scale);
  for (std::size_t i = 0; i < tolerance.magnitudes.size(); ++i) {
    allowed[i] = share * tolerance.magnitudes[i];
  }
  // Below the smallest normal number, processors may round to zero.
  for (double& a : allowed) a += std::numeric_limits<float>::min();
  return allowed;
}

double error_of(double actual, double expected) {
  if (actual == expected) return 0;
  const double error = std::abs(actual - expected);
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

}  // namespace

std::string coordinates(std::size_t index, const Shape& shape) {
  std::vector<std::size_t> place(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto size = static_cast<std::size_t>(shape[axis].size);
    place[axis] = index % size;
    index /= size;
  }
  std::string text;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    text += fmt::format("{}{}={}", axis > 0 ? ", " : "", shape[axis].name, place[axis]);
  }
  return text;
}

Comparison compare(const std::string& what, std::span<const float> actual, const Values& expected,
                   const Shape& shape, const Tolerance& tolerance) {
  const auto count = static_cast<std::size_t>(shape_size(shape));
  const bool fits = tolerance.magnitudes.empty() || tolerance.magnitudes.size() == count;
  check(expected.size() == count && actual.size() == count && fits, [&] {
    return fmt::format("{}: the test itself is wrong: {} values in the shape, {} expected, {} here",
                       what, count, expected.size(), actual.size());
  });
  Comparison result{.count = count, .allowed = allowances(expected, tolerance)};
  double worst_share = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double error = error_of(actual[i], expected[i]);
    if (error <= result.allowed[i]) continue;  // false, too, when the oracle or its bound is NaN
    if (result.wrong++ == 0) result.first = result.worst = i;
    if (error / result.allowed[i] > worst_share) {
      result.worst = i, worst_share = error / result.allowed[i];
    }
  }
  return result;
}

std::string difference(const std::string& what, std::span<const float> actual,
                       const Values& expected, const Shape& shape, const Tolerance& tolerance) {
  const Comparison found = compare(what, actual, expected, shape, tolerance);
  if (found.wrong == 0) return "";
  const auto at = [&](std::size_t i) {
    return fmt::format("[{}]: expected {:.8g}, is {:.8g} (allowed: +- {:.2g})",
                       coordinates(i, shape), expected[i], actual[i], found.allowed[i]);
  };
  return fmt::format("{} ({}seed {}): {} of {} values are wrong; first {}{}", what,
                     shape_text(shape), test_seed(), found.wrong, found.count, at(found.first),
                     found.worst == found.first ? "" : "; worst " + at(found.worst));
}

}  // namespace tinygpt::test
