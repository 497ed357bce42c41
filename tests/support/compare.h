// The one comparator of the project.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

namespace tinygpt::test {

using Values = std::vector<double>;

// The axes of a tensor, for messages: {{"b", 2}, {"t", 7}, {"c", 16}}.
struct Axis {
  std::string name;
  int size;
};
using Shape = std::vector<Axis>;

// How far off a result may be:  factor * epsilon * sqrt(terms) * (size of the terms).
//
// A sum of K rounded terms is off by about epsilon * sqrt(K) * sum |terms|, as long as roundings
// have no preferred direction. What `sum |terms|` is, the oracle knows best.
struct Tolerance {
  double terms = 1;        // K, the length of the longest sum behind a value
  double scale = 0;        // sum |terms| of the largest value; 0: the largest expected magnitude
  double factor = 8;       // how many roundings a term goes through
  Values magnitudes = {};  // sum |terms| of each value; where given, scale is not used
  double epsilon = std::numeric_limits<float>::epsilon();  // of the type that is tested
};

// How two arrays differ: which values are further apart than the tolerance allows. NaN never
// passes, on either side; an infinity passes only where the same one is expected.
struct Comparison {
  std::size_t count = 0, wrong = 0;
  std::size_t first = 0, worst = 0;  // indices, where any are wrong
  Values allowed;                    // for each value
};
Comparison compare(const std::string& what, std::span<const float> actual, const Values& expected,
                   const Shape& shape, const Tolerance& tolerance);

// A flat index as the axes name it: "b=1, t=3".
std::string coordinates(std::size_t index, const Shape& shape);

// Empty when every value is close enough. Otherwise one line: how many are wrong, the first and the
// worst of them by logical coordinates, expected, actual, and what was allowed.
std::string difference(const std::string& what, std::span<const float> actual,
                       const Values& expected, const Shape& shape, const Tolerance& tolerance);

}  // namespace tinygpt::test
