// How the rotary kernels are examined, on the CPU or as CUDA kernels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

using RopeFunction = void(float*, const float*, const float*, int, int, int, int, int, int);

struct RopeCase {
  int B, T, heads, HS, rest, start;
  double scale = 1;

  int stride() const { return heads * HS + rest; }
  int half() const { return HS / 2; }
  // Rows of the tables: enough for mistakes that look too far to be recognised by their answer.
  int places() const { return 2 * (start + B * T) + 2; }
  double angle(std::int64_t place, int i) const {
    return static_cast<double>(place) * std::pow(100.0, -2.0 * i / HS);
  }
  Shape shape() const { return {{"b", B}, {"t", T}, {"column", stride()}}; }
  std::string name(const char* function) const {
    return fmt::format("{}(B={}, T={}, heads={}, HS={}, stride={}, start={})", function, B, T,
                       heads, HS, stride(), start);
  }
};

// What is turned, and how, by code that has one of these mistakes; by the right code without one.
struct Turn {
  double direction = 1;
  int shift = 0;               // of the place
  bool no_start = false;       // places count from 0
  bool by_row = false;         // and over the whole batch
  bool neighbours = false;     // pairs (2 i, 2 i + 1)
  bool first_only = false;     // head 0 alone
  bool whole_row = false;      // values as well
  bool packed = false;         // rows that are heads * HS apart
  bool swapped = false;        // sine and cosine
  int most = 1 << 30;          // pairs that are turned, the first ones
  bool overwritten = false;    // the second line reads what the first has written
  double first_sine = 1;       // factor of the sine in the first line
  double second_sine = 1;      // factor of the sine in the second line
  bool long_rows = false;      // of the tables: HS entries instead of HS / 2
  bool angle_of_head = false;  // pair i of head h has angle number h * HS / 2 + i
  bool rows_of_heads = false;  // the tables have a row for each place and head
  bool across = false;         // pairs half of all heads apart
  bool cosine_too = false;     // the direction is a factor of the cosine as well
};

// Su et al., equation 34, with pairs half a head apart.
inline Values turned(const Values& x, const RopeCase& c, const Turn& turn) {
  Values out = x;
  const int stride = turn.packed ? c.heads * c.HS : c.stride();
  const int heads = turn.first_only ? 1 : turn.whole_row ? c.stride() / c.HS : c.heads;
  for (std::int64_t row = 0; row < std::int64_t{c.B} * c.T; ++row) {
    for (int h = 0; h < heads; ++h) {
      for (int i = 0; i < c.half(); ++i) {
        const std::int64_t head = row * stride + std::int64_t{h} * c.HS;
        auto a = static_cast<std::size_t>(head + (turn.neighbours ? 2 * i : i));
        auto b = static_cast<std::size_t>(head + (turn.neighbours ? 2 * i + 1 : i + c.half()));
        if (turn.across) {
          a = static_cast<std::size_t>(row * stride + std::int64_t{h} * c.half() + i);
          b = a + static_cast<std::size_t>(heads * c.half());
        }
        const std::int64_t place =
            (turn.no_start ? 0 : c.start) + (turn.by_row ? row : row % c.T) + turn.shift;
        const std::int64_t table_row = turn.long_rows       ? 2 * place
                                       : turn.rows_of_heads ? place * heads + h
                                                            : place;
        const int number = turn.angle_of_head ? h * c.half() + i : i;
        // Beyond the pairs of its row, the table goes on with the next place.
        const double angle = c.angle(table_row + number / c.half(), number % c.half());
        if ((row * heads + h) * c.half() + i >= turn.most) return out;
        const double x0 = out[a], x1 = out[b];
        double cosine = std::cos(angle), sine = turn.direction * std::sin(angle);
        if (turn.cosine_too) cosine *= turn.direction;
        if (turn.swapped) std::swap(cosine, sine);
        out[a] = x0 * cosine - x1 * sine * turn.first_sine;
        out[b] = (turn.overwritten ? out[a] : x0) * sine * turn.second_sine + x1 * cosine;
      }
    }
  }
  return out;
}

// A rotation keeps the length of each pair. Here some pair's is another, and nothing is NaN.
inline bool changes_lengths(const Answer& a, const RopeCase& c) {
  bool changed = false;
  for (std::int64_t row = 0; row < std::int64_t{c.B} * c.T; ++row) {
    for (int k = 0; k < c.heads * c.half(); ++k) {
      const auto first =
          static_cast<std::size_t>(row * c.stride() + k / c.half() * c.HS + k % c.half());
      const std::size_t second = first + static_cast<std::size_t>(c.half());
      const double now = std::hypot(a.actual[first], a.actual[second]);
      const double before = std::hypot(a.expected[first], a.expected[second]);
      if (std::isnan(now)) return false;
      changed = changed || std::abs(now - before) > 1e-3 * before;
    }
  }
  return changed;
}

inline bool has_nan(const Answer& a) {
  return std::any_of(a.actual.begin(), a.actual.end(), [](double x) { return std::isnan(x); });
}

inline std::vector<Mistake> rope_mistakes(const Values& x, const RopeCase& c, double direction) {
  const auto slip = [&](Turn turn, std::string nudge) {
    turn.direction *= direction;
    return gives(turned(x, c, turn), std::move(nudge));
  };
  const bool forward = direction > 0;
  return {
      slip({.direction = -1},
           forward
               ? "Turned the wrong way: the minus stands before the sine of the first line."
               : "The gradient is turned the same way as x was. The transpose of a rotation "
                 "turns by the same angle the other way. (Does your rotation use `direction`?)"),
      slip({.no_start = true},
           "`start` is left out: row t is at place start + t, and so is its row of the tables."),
      slip({.shift = 1}, "Positions are off by one: the row of the tables is start + t."),
      slip({.shift = -1}, "Positions are off by one: the row of the tables is start + t."),
      slip({.by_row = true},
           "The batch is counted as if it were one long text: every sequence begins at place start "
           "again."),
      slip({.neighbours = true},
           "Neighbours (2 i, 2 i + 1) are turned together, as in the paper. This contract pairs "
           "values half a head apart: (i, i + HS / 2)."),
      slip({.first_only = true},
           "Only head 0 is turned. The same tables serve each of the `heads` heads of a row."),
      slip({.whole_row = true},
           "The values behind the first `heads` heads are turned as well. Positions belong in "
           "queries and keys; what attention mixes stays as it is."),
      slip({.packed = true}, "The next row begins `stride` values further on, not heads * HS."),
      slip({.overwritten = true},
           "The second line uses x[i] after the first line has written it. Read both values of a "
           "pair before you write either."),
      slip({.second_sine = -1},
           "The first line is right; the sine of the second has the wrong sign. The two lines have "
           "opposite signs there."),
      slip({.first_sine = -1},
           "The second line is right; the sine of the first has the wrong sign. The two lines have "
           "opposite signs there."),
      slip({.swapped = true},
           "Sine and cosine are swapped: at place 0 the cosine is 1 and nothing turns."),
      slip({.most = 256},
           "Only the first 256 pairs are turned: one block is not enough, or its threads do not "
           "come round for more."),
      slip({.angle_of_head = true},
           "The angle depends on the head: every head begins again with the first pair's. A row of "
           "the tables has HS / 2 entries."),
      slip({.long_rows = true},
           "A row of the tables has HS / 2 entries, one for each pair, not HS."),
      slip({.direction = -1, .swapped = true},
           "Sine and cosine are swapped: at place 0 the cosine is 1 and nothing turns."),
      slip({.rows_of_heads = true},
           "The tables have a row for each place, and know nothing of heads: all heads of a row "
           "are turned by the same angles."),
      slip({.across = true},
           "The row is cut in half, not the head: pair i of head h is (h * HS + i, "
           "h * HS + i + HS / 2)."),
      slip({.cosine_too = true},
           "The cosine has changed its sign as well. cos(-a) is cos(a): only the sine is "
           "multiplied by the direction."),
      gives(x, "Nothing was turned."),
      when([](const Answer& a) { return has_nan(a); },
           "NaN comes from past the end of x or of a table. A head has HS / 2 pairs, the place of "
           "t is start + t, and row (b, t) of x begins at (b * T + t) * stride."),
      when([c](const Answer& a) { return changes_lengths(a, c); },
           "A rotation keeps the length of every pair, and this one does not: check which two "
           "values of a head make a pair, then the four terms and their signs."),
  };
}

inline void examine_rope(Exam& exam, const char* name, RopeFunction* rope, double direction) {
  for (const RopeCase& c : std::vector<RopeCase>{{1, 3, 1, 2, 0, 2},
                                                 {2, 3, 1, 4, 0, 0},
                                                 {2, 3, 2, 4, 4, 1},
                                                 {0, 1, 1, 2, 0, 0},
                                                 {1, 1, 1, 2, 1, 0},
                                                 {2, 5, 3, 6, 7, 2, 1e4},
                                                 {1, 7, 2, 16, 0, 0, 1e-3},
                                                 {3, 5, 4, 34, 68, 129}}) {
    const Values in = random_values(std::int64_t{c.B} * c.T * c.stride(), 1, c.scale);
    Values cosines, sines;
    for (int k = 0; k < c.places() * c.half(); ++k) {
      cosines.push_back(std::cos(c.angle(k / c.half(), k % c.half())));
      sines.push_back(std::sin(c.angle(k / c.half(), k % c.half())));
    }
    Sandbox& s = exam.call(c.name(name));
    float* x = s.accumulator(in);
    const float *cosine = s.input(cosines), *sine = s.input(sines);
    rope(x, cosine, sine, c.B, c.T, c.heads, c.HS, c.stride(), c.start);
    exam.expect(direction > 0 ? "x" : "dx", x, turned(in, c, {.direction = direction}), c.shape(),
                {.factor = 2}, rope_mistakes(in, c, direction));
  }
}

}  // namespace tinygpt::lessons
