// The one comparator of the project.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace tinygpt::test {

// The axes of a tensor, for messages: {{"b", 2}, {"t", 7}, {"c", 16}}.
struct Axis {
  std::string name;
  int size;
};
using Shape = std::vector<Axis>;

// How far off a result may be. The error of a float sum of K terms grows like eps * sqrt(K) times
// the size of the terms (eps * K at worst); `scale` is the size of a result's terms.
struct Tolerance {
  double terms = 1;   // K, the length of the longest sum behind a value
  double scale = 0;   // size of the terms; 0: the largest expected magnitude
  double factor = 8;  // headroom: how many roundings a term goes through
};

// Empty when every value is close enough; otherwise what is wrong, in one line: how many, the first
// wrong index in logical coordinates with expected and actual, and the worst. NaN never passes,
// unless NaN is expected.
std::string difference(const std::string& what, std::span<const float> actual,
                       const std::vector<double>& expected, const Shape& shape,
                       const Tolerance& tolerance);

}  // namespace tinygpt::test
