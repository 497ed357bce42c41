#include "tinygpt/chart/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tinygpt/core/error.h"

namespace tinygpt::chart {

double Scale::operator()(double value) const {
  const double v = log ? std::log10(value) : value;
  return from + (v - low) / (high > low ? high - low : 1) * (to - from);
}

Scale scale_around(const std::vector<double>& values, bool log, bool zero, double margin,
                   double from, double to) {
  double low = INFINITY, high = -INFINITY;
  for (const double value : values) {
    const double v = log ? std::log10(value) : value;
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  check(low <= high, log ? "a chart needs points; a logarithmic axis needs positive ones"
                         : "a chart needs points");
  if (zero && !log) {
    low = std::min(low, 0.0);
    high = std::max(high, 0.0);
  }
  if (low == high) {  // one value only: in the middle
    const double half = low == 0 ? 1 : 0.1 * std::abs(low);
    return {low - half, high + half, from, to, log};
  }
  const double room = margin * (high - low);
  return {low == 0 && zero ? 0 : low - room, high == 0 && zero ? 0 : high + room, from, to, log};
}

namespace {

std::vector<double> log_ticks(const Scale& scale) {
  const bool wide = scale.high - scale.low >= 2;
  const double step = std::max(1.0, std::ceil((scale.high - scale.low) / 8));
  std::vector<double> ticks;
  for (double power = std::floor(scale.low); power <= scale.high; power += step) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double at = power + std::log10(factor);
      const bool inside = at >= scale.low - 1e-9 && at <= scale.high + 1e-9;
      if (inside && (factor == 1.0 || !wide)) ticks.push_back(factor * std::pow(10.0, power));
    }
  }
  return ticks;
}

}  // namespace

std::vector<double> ticks_of(const Scale& scale, int count) {
  if (scale.log) return log_ticks(scale);
  const double span = scale.high - scale.low;
  double step = std::pow(10.0, std::floor(std::log10(span / count)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (span / (step * factor) <= count) {
      step *= factor;
      break;
    }
  }
  std::vector<double> ticks;
  const auto first = static_cast<long long>(std::ceil(scale.low / step - 1e-9));
  const auto last = static_cast<long long>(std::floor(scale.high / step + 1e-9));
  for (long long k = first; k <= last; ++k) ticks.push_back(static_cast<double>(k) * step);
  return ticks;
}

std::string tick_label(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:.6g}", value);
}

}  // namespace tinygpt::chart
