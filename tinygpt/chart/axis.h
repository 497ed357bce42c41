// Maps values to a stretch of a page or a terminal, and finds round numbers to label it with.
#pragma once

#include <string>
#include <vector>

namespace tinygpt::chart {

struct Scale {
  double low, high;  // of the values, or of their decimal logarithms
  double from, to;   // where they lie
  bool log;
  double operator()(double value) const;
};

// Around all finite values; positive ones only where the scale is logarithmic. Includes zero where
// `zero` says so. Throws Error where no value is left.
Scale scale_around(const std::vector<double>& values, bool log, bool zero, double margin,
                   double from, double to);

// At most about `count` round numbers (1, 2 or 5 times a power of ten) inside the scale.
std::vector<double> ticks_of(const Scale& scale, int count = 6);

// A tick's value with no more digits than it needs: 0.25, 1500, 20k, 3M, 1e-05.
std::string tick_label(double value);

}  // namespace tinygpt::chart
