// Which mistake made NaN of an attention over large scores.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

using test::AttentionSize;

// Recognised if something is NaN, and `fits` says yes to every number: `query` is the place of its
// query in lse.
inline Mistake where_nan(const AttentionSize& size,
                         std::function<bool(std::size_t query, bool nan)> fits, std::string nudge) {
  return when(
      [size, fits = std::move(fits)](const Answer& a) {
        bool any = false;
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          const int row = static_cast<int>(i) / size.HS;  // of out [B, T, NH, HS]
          const int h = row % size.NH, t = row / size.NH % size.T, b = row / size.NH / size.T;
          const bool nan = !std::isfinite(a.actual[i]);
          any |= nan;
          if (!fits(static_cast<std::size_t>((b * size.NH + h) * size.T + t), nan)) return false;
        }
        return any;
      },
      std::move(nudge));
}

// exp leaves a float's range, down to 0 or up to infinity, beyond about -104 and 88.
inline std::vector<Mistake> not_finite(const AttentionSize& size, const Values& qkv,
                                       const Values& lse) {
  AttentionSize all = size;
  all.causal = false;
  const Values of_all = test::attention_lse(all, qkv).value;
  return {where_nan(
              size,
              [=](std::size_t query, bool nan) {
                const double above = of_all[query] - lse[query];
                return nan ? above > 80 : above < 110;
              },
              "The largest score is looked for among all T keys. One that comes after the query "
              "may be so large that exp makes 0 of all that the query sees: only keys 0 .. t take "
              "part."),
          where_nan(
              size, [=](std::size_t query, bool nan) { return !nan || lse[query] < -80; },
              "This query's scores are all far below 0. Does the search for the largest begin with "
              "-INFINITY? With 0, or with numeric_limits<float>::min(), which is a little more "
              "than 0, every exp becomes 0, and 0 / 0 is NaN."),
          where_nan(
              size, [](std::size_t, bool) { return true; },
              "Large scores: exp of them is infinite, and infinity divided by infinity is NaN. "
              "Take the largest score of the query off all of its scores first, as in lesson "
              "04.")};
}

}  // namespace tinygpt::lessons
