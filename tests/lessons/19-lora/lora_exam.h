// What the examinations of lesson 19 share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

struct LoraSize {
  int N, C, OC, rank;
  int before, after;  // columns of out beside the adapter's own
  float scale;

  int width() const { return before + OC + after; }
  std::int64_t xs() const { return std::int64_t{N} * C; }
  std::int64_t as() const { return std::int64_t{rank} * C; }
  std::int64_t bs() const { return std::int64_t{OC} * rank; }
};

inline std::string shape_of(const LoraSize& s) {
  return fmt::format("N={}, C={}, OC={}, stride={}, rank={}, scale={:g}", s.N, s.C, s.OC, s.width(),
                     s.rank, s.scale);
}

inline double at(const Values& values, std::int64_t i) {
  const auto place = static_cast<std::size_t>(i);
  return place < values.size() ? values[place] : NAN;  // past the end, as in the sandbox
}

// out[i, j] = sum over k of term(i, j, k)
template <class Term>
Values product(int rows, int columns, int depth, Term&& term) {
  Values out;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      double sum = 0;
      for (int k = 0; k < depth; ++k) sum += term(i, j, k);
      out.push_back(sum);
    }
  }
  return out;
}

inline Values times(Values values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

// A matrix [N, OC] among the columns of a wider one, whose others are those of `other`.
inline Values widened(const LoraSize& s, const Values& values, Values other) {
  for (int n = 0; n < s.N; ++n) {
    for (int o = 0; o < s.OC; ++o) {
      other[static_cast<std::size_t>(n * s.width() + s.before + o)] =
          values[static_cast<std::size_t>(n * s.OC + o)];
    }
  }
  return other;
}

inline bool broken(const Answer& answer) {
  for (const double x : answer.actual) {
    if (std::isnan(x)) return true;
  }
  return false;
}

// As gives, where the mistake reads what is not there: that part of the answer is NaN.
inline Mistake gives_known(Values wrong, std::string nudge) {
  return when(
      [wrong = std::move(wrong)](const Answer& a) {
        bool differs = false;
        for (std::size_t i = 0; i < wrong.size(); ++i) {
          if (std::isnan(wrong[i])) continue;
          if (!(std::abs(a.actual[i] - wrong[i]) <= 4 * a.allowed[i])) return false;
          differs |= std::abs(wrong[i] - a.expected[i]) > 8 * a.allowed[i];
        }
        return differs;
      },
      std::move(nudge));
}

// x A^T
inline Values down(const LoraSize& s, const Values& x, const Values& a) {
  return product(s.N, s.rank, s.C, [&](int n, int r, int c) {
    return at(x, std::int64_t{n} * s.C + c) * at(a, std::int64_t{r} * s.C + c);
  });
}

inline std::vector<Mistake> ax_mistakes(const LoraSize& s, const Values& x, const Values& a,
                                        const Values& right) {
  Values runs_on = right;
  for (std::size_t i = 1; i < runs_on.size(); ++i) {
    if (i % static_cast<std::size_t>(s.rank) != 0) runs_on[i] += runs_on[i - 1];
  }
  return {
      gives(
          times(right, s.scale),
          "ax has the scale in it. It is x A^T alone: the backward pass makes b's gradient of it, "
          "and would count the scale twice."),
      gives(product(s.N, s.rank, s.C,
                    [&](int n, int r, int c) {
                      return at(x, std::int64_t{n} * s.C + c) * at(a, std::int64_t{c} * s.rank + r);
                    }),
            "a is read as [C, rank]. It is [rank, C], as PEFT stores lora_A: a[r, c] is at r * C + "
            "c."),
      gives(runs_on, "The sum runs on from one r to the next: each starts from 0."),
      gives(product(s.N, s.rank, s.C,
                    [&](int n, int r, int c) {
                      return at(x, std::int64_t{n} * s.width() + c) *
                             at(a, std::int64_t{r} * s.C + c);
                    }),
            "Rows of x are taken to be stride apart. They are C apart; it is out whose rows are "
            "stride apart."),
      gives(product(s.N, s.rank, s.C,
                    [&](int, int r, int c) { return at(x, c) * at(a, std::int64_t{r} * s.C + c); }),
            "Every row of ax comes from row 0 of x: row n begins at x + n * C."),
      gives(product(s.N, s.rank, s.C,
                    [&](int n, int r, int c) {
                      return at(x, std::int64_t{n} * s.C + c) * at(a, std::int64_t{r} * s.rank + c);
                    }),
            "Rows of a are taken to be rank apart. They are C apart: a[r, c] is at r * C + c."),
      gives(product(s.N, s.rank, 1,
                    [&](int n, int r, int) {
                      const int i = n * s.rank + r;  // where [rank, N] has r, n
                      return at(right, std::int64_t{i % s.N} * s.rank + i / s.N);
                    }),
            "ax is written as [rank, N]. It is [N, rank]: ax[n, r] is at n * rank + r."),
      when(
          [](const Answer& answer) {
            return std::all_of(answer.actual.begin(), answer.actual.end(),
                               [](double value) { return std::isnan(value); });
          },
          "Is ax written with += ? It holds nothing yet: its values are set, not added to."),
      when(broken, "Not all of ax is written: row n begins at ax + n * rank, and has rank values."),
  };
}

}  // namespace tinygpt::lessons
