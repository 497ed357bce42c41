// Mistakes that leave a part of an answer right: the first row, the first 32 columns.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

using Coordinates = std::vector<std::int64_t>;  // one for each axis of the shape

// Recognised where everything is right that `right` names, and of the rest more than half is wrong:
// some of it may be right by chance.
inline Mistake only_right_where(std::function<bool(const Coordinates&)> right, std::string nudge) {
  return when(
      [right = std::move(right)](const Answer& a) {
        std::int64_t inside = 0, wrong = 0, outside = 0;
        Coordinates at(a.shape.size());
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          auto rest = static_cast<std::int64_t>(i);
          for (std::size_t axis = a.shape.size(); axis-- > 0;) {
            at[axis] = rest % a.shape[axis].size;
            rest /= a.shape[axis].size;
          }
          const bool close = std::abs(a.actual[i] - a.expected[i]) <= a.allowed[i];  // not NaN
          if (right(at)) {
            if (!close) return false;
            ++inside;
          } else {
            ++outside;
            wrong += close ? 0 : 1;
          }
        }
        return inside > 0 && wrong > 0 && 2 * wrong > outside;
      },
      std::move(nudge));
}

// Of the last axis, only the first `count` are right; of the first axis, only the first one.
inline Mistake only_first_columns(std::int64_t count, std::string nudge) {
  return only_right_where([count](const Coordinates& at) { return at.back() < count; },
                          std::move(nudge));
}
inline Mistake only_first_row(std::string nudge) {
  return only_right_where([](const Coordinates& at) { return at[0] == 0; }, std::move(nudge));
}

}  // namespace tinygpt::lessons
