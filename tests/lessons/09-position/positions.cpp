// Grades exercises/09-position/positions.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "solutions/09-position/position.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

// The table, after Vaswani et al., section 3.5; or what a mistake makes of it.
struct Waves {
  double exponent = -2;    // base^(exponent i / C)
  double first_place = 0;  // of row 0
  bool swapped = false;    // cosine first
  bool halves = false;     // all sines, then all cosines
  double by_column = 0;    // an exponent of -by_column c / C: a pair shares no angle
  double columns = 0;      // in the place of C in the exponent
  bool in_radians = true;  // or in turns: times 2 pi
  double always_base = 0;  // this base whatever is asked for
};

Values waves(int T, int C, double base, const Waves& w) {
  Values table;
  const int pairs = (C + 1) / 2;
  if (w.always_base > 0) base = w.always_base;
  for (int t = 0; t < T; ++t) {
    for (int c = 0; c < C; ++c) {
      const int i = w.halves ? c % pairs : c / 2;
      const bool cosine = (w.halves ? c >= pairs : c % 2 == 1) != w.swapped;
      const double exponent =
          w.by_column > 0 ? -w.by_column * c / C : w.exponent * i / (w.columns > 0 ? w.columns : C);
      const double angle =
          (t + w.first_place) * std::pow(base, exponent) * (w.in_radians ? 1 : 2 * M_PI);
      table.push_back(cosine ? std::cos(angle) : std::sin(angle));
    }
  }
  return table;
}

// Right to three digits, and yet not right: the angle was rounded to a float.
bool lost_digits(const Answer& a) {
  for (std::size_t i = 0; i < a.actual.size(); ++i) {
    if (!(std::abs(a.actual[i] - a.expected[i]) < 2e-3)) return false;
  }
  return true;
}

bool without_last_column(const Answer& a) {
  const auto C = static_cast<std::size_t>(a.shape[1].size);
  for (std::size_t i = 0; i < a.actual.size(); ++i) {
    if (std::isnan(a.actual[i]) != (i % C == C - 1)) return false;
  }
  return true;
}

const char* const kOwnFrequency =
    "Each column has a frequency of its own. Columns 2 i and 2 i + 1 share that of i: i = c / 2, "
    "in whole numbers.";

void examine_sinusoidal(Exam& exam) {
  struct Case {
    int T, C;
    float base;
  };
  for (const auto& [T, C, base] : std::vector<Case>{{4, 6, 100},
                                                    {5, 7, 10000},
                                                    {1, 1, 100},
                                                    {3, 2, 100},
                                                    {0, 4, 100},
                                                    {65, 12, 500},
                                                    {2500, 5, 10000}}) {
    const auto slip = [&, T = T, C = C, base = base](const Waves& w, const char* nudge) {
      return gives(waves(T, C, base, w), nudge);
    };
    Sandbox& s = exam.call(fmt::format("sinusoidal_positions(T={}, C={}, base={})", T, C, base));
    float* table = s.output(std::int64_t{T} * C);
    ref::sinusoidal_positions(table, T, C, base);
    exam.expect(
        "table", table, waves(T, C, base, {}), {{"t", T}, {"c", C}}, {.scale = 1, .factor = 2},
        {slip({.swapped = true}, "Sine and cosine are swapped: even columns hold the sine."),
         slip({.first_place = 1},
              "Every row is the one of the next place: positions count from 0, so row 0 holds "
              "sin(0) and cos(0)."),
         slip({.exponent = -1},
              "Frequencies fall too slowly: the exponent of pair i is -2 i / C, so that the last "
              "pair is close to 1 / base."),
         slip({.exponent = 0},
              "Every pair has the same frequency: in whole numbers, 2 * i / C is 0."),
         slip({.exponent = 2},
              "Frequencies grow from pair to pair: the angle is t divided by base^(2 i / C)."),
         slip({.by_column = 1}, kOwnFrequency), slip({.by_column = 2}, kOwnFrequency),
         slip({.columns = 2.0 * (C / 2)},
              "The exponent has half of C in it, rounded down: for an odd C, 2 i / C is not "
              "i / (C / 2)."),
         slip({.columns = C - 2.0},
              "The last pair has a frequency of 1 / base: other programs spread the pairs like "
              "that, with a divisor of C / 2 - 1. Here the exponent of pair i is -2 i / C."),
         when(without_last_column,
              "The last column is not written. An odd C ends with a sine that has no cosine."),
         slip({.halves = true},
              "First all sines, then all cosines: other programs do that, but this contract puts "
              "the cosine of a pair right behind its sine."),
         slip({.in_radians = false}, "The angle needs no 2 pi: sin takes radians."),
         slip({.always_base = 10000}, "The base is an argument: use it instead of 10000."),
         when(lost_digits,
              "Right to some digits only, and worse at far places: t * frequency is large there, "
              "and a float keeps 7 digits of it. Compute the angle in double.")});
  }
}

// A table of `places` rows, of which those from start on meet x.
struct Case {
  int B, T, C, start, places;
  std::string name(const char* function) const {
    return fmt::format("{}(B={}, T={}, C={}, start={})", function, B, T, C, start);
  }
  std::int64_t n() const { return std::int64_t{B} * T * C; }
};
const std::vector<Case> kCases = {{1, 2, 1, 2, 5},  {1, 1, 1, 0, 1},   {2, 3, 4, 0, 9},
                                  {2, 3, 4, 2, 12}, {0, 2, 3, 0, 2},   {3, 5, 17, 3, 8},
                                  {1, 7, 2, 1, 8},  {2, 64, 3, 1, 65}, {5, 1, 33, 255, 256}};

// The row of the table that value k of a [B, T, C] array meets, and where in it; or which one it
// meets by a mistake.
struct Meeting {
  bool no_start = false, by_row = false, one_place = false;
  bool start_of_values = false;  // start is added to the index, as if it counted values
  int shift = 0;
};

std::int64_t place_of(std::int64_t k, const Case& c, const Meeting& m = {}) {
  const std::int64_t row = k / c.C;
  const std::int64_t t = m.one_place ? 0 : m.by_row ? row : row % c.T;
  if (m.start_of_values) return c.start + t * c.C + k % c.C;
  return ((m.no_start ? 0 : c.start) + t + m.shift) * c.C + k % c.C;
}

// Forward by a mistake. Beyond the table there is only NaN, and such an answer is not recognised.
Values placed(const Values& x, const Values& table, const Case& c, const Meeting& m) {
  Values out = x;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::int64_t at = place_of(static_cast<std::int64_t>(k), c, m);
    const bool inside = at >= 0 && at < static_cast<std::int64_t>(table.size());
    out[k] += inside ? table[static_cast<std::size_t>(at)] : NAN;
  }
  return out;
}

const char* const kStart =
    "`start` is left out: t = 0 is at place start, not at place 0, where a text goes on.";
const char* const kByRow =
    "The batch is counted as if it were one long text: every sequence begins at place start again.";
const char* const kStartOfValues =
    "`start` counts places, not values: the row of t begins at (start + t) * C.";
const char* const kOffByOne = "Positions are off by one: the row of t is start + t.";

void examine_forward(Exam& exam) {
  for (const Case& c : kCases) {
    const Values in = random_values(c.n(), 1), table = random_values(c.places * c.C, 2);
    Values alone = placed(Values(in.size(), 0.0), table, c, {});
    const Values expected = placed(in, table, c, {});
    const Shape shape = {{"b", c.B}, {"t", c.T}, {"c", c.C}};
    Values grown = in;
    for (double& value : grown) value *= std::sqrt(static_cast<double>(c.C));
    const std::vector<Mistake> mistakes = {
        gives(placed(in, table, c, {.start_of_values = true}), kStartOfValues),
        gives(placed(grown, table, c, {}),
              "x is multiplied by sqrt(C). The paper does that to its embeddings, but before they "
              "come here: x is added as it is."),
        gives(placed(in, table, c, {.no_start = true}), kStart),
        gives(placed(in, table, c, {.by_row = true}), kByRow),
        gives(placed(in, table, c, {.shift = 1}), kOffByOne),
        gives(placed(in, table, c, {.shift = -1}), kOffByOne),
        gives(placed(in, table, c, {.one_place = true}),
              "Every t gets the same vector: that of the first place."),
        gives(alone, "The position's vector replaces the token's. They are added."),
        gives(in, "out is x: no position was added."),
    };
    Sandbox& s = exam.call(c.name("learned_positions_forward"));
    float* out = s.output(c.n());
    const float *x = s.input(in), *weight = s.input(table);
    ref::learned_positions_forward(out, x, weight, c.B, c.T, c.C, c.start);
    exam.expect("out", out, expected, shape, {.factor = 2}, mistakes);
    Sandbox& same = exam.call(c.name("learned_positions_forward") + ", out in the place of x");
    float* both = same.accumulator(in);
    weight = same.input(table);
    ref::learned_positions_forward(both, both, weight, c.B, c.T, c.C, c.start);
    exam.expect("out", both, expected, shape, {.factor = 2},
                {when([](const Answer&) { return true; },
                      "Right with two arrays, wrong with one: each value of x is read once, right "
                      "before out is written there.")});
  }
}

// Sums of dout over the sequences from first to last, each at its place; or where a mistake puts
// it.
Values collected(const Values& dout, const Case& c, const Meeting& m, int first, int last) {
  Values sum(static_cast<std::size_t>(c.places * c.C), 0.0);
  for (std::int64_t k = std::int64_t{first} * c.T * c.C; k < std::int64_t{last} * c.T * c.C; ++k) {
    const std::int64_t at = place_of(k, c, m);
    if (at < 0 || at >= static_cast<std::int64_t>(sum.size())) return Values(sum.size(), NAN);
    sum[static_cast<std::size_t>(at)] += dout[static_cast<std::size_t>(k)];
  }
  return sum;
}

bool reads_nan(const Answer& a) {
  return std::any_of(a.actual.begin(), a.actual.end(), [](double x) { return std::isnan(x); });
}

void examine_backward(Exam& exam) {
  for (const Case& c : kCases) {
    const Values gradient = random_values(c.n(), 1);
    Values magnitude = gradient;
    for (double& value : magnitude) value = std::abs(value);
    const Values sum = collected(gradient, c, {}, 0, c.B);
    Values mean = sum;
    for (double& value : mean) value /= std::max(c.B, 1);
    Sandbox& s = exam.call(c.name("learned_positions_backward"));
    const float* dout = s.input(gradient);
    float* dweight = s.accumulator(c.places * c.C);
    const Values start = s.values(dweight);
    ref::learned_positions_backward(dweight, dout, c.B, c.T, c.C, c.start);
    // Written over: rows that were met hold the last sequence's gradient, or the sum.
    const auto overwritten = [&](const Values& by) {
      Values out = by;
      for (std::size_t i = 0; i < out.size(); ++i) {
        const auto row = static_cast<int>(i) / c.C - c.start;
        out[i] = row >= 0 && row < c.T ? by[i] - start[i] : 0;
      }
      return out;
    };
    const int before_last = std::max(c.B - 1, 0);
    exam.expect_added(
        "dweight", dweight, sum, {{"place", c.places}, {"c", c.C}},
        {.terms = static_cast<double>(c.B), .magnitudes = collected(magnitude, c, {}, 0, c.B)},
        {gives(overwritten(sum),
               "The sum over the batch is right, but it replaces what was there. Gradients "
               "accumulate: use +=."),
         gives(overwritten(collected(gradient, c, {}, before_last, c.B)),
               "Only the last sequence's gradient is left. Gradients accumulate, over the batch as "
               "well: use +=."),
         gives(collected(gradient, c, {}, 0, std::min(c.B, 1)),
               "Only the first sequence arrives. A place serves every sequence of the batch: the "
               "sum runs over b."),
         gives(collected(gradient, c, {}, before_last, c.B),
               "Only the last sequence arrives. A place serves every sequence of the batch: the "
               "sum runs over b."),
         gives(mean,
               "This is the mean over the batch; the sum is asked for. Whether a mean is wanted, "
               "dout says already."),
         when(reads_nan,
              "NaN comes from past the end of dout. It has B * T rows, and `start` does not count "
              "in it: only the table's row is start + t."),
         gives(collected(gradient, c, {.start_of_values = true}, 0, c.B), kStartOfValues),
         gives(collected(gradient, c, {.no_start = true}, 0, c.B), kStart),
         gives(collected(gradient, c, {.by_row = true}, 0, c.B), kByRow),
         gives(collected(gradient, c, {.shift = 1}, 0, c.B), kOffByOne),
         gives(collected(gradient, c, {.shift = -1}, 0, c.B), kOffByOne)});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"09.sinusoidal_positions", examine_sinusoidal},
          {"09.learned_positions_forward", examine_forward},
          {"09.learned_positions_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
