// Grades exercises/10-block/dropout.cpp.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"
#include "tests/lessons/grading/exam.h"
#include "tinygpt/core/random.h"

namespace tinygpt::lessons {
namespace {

struct Case {
  int n;
  float p;
  std::uint64_t seed, stream;
};

const std::vector<Case> kCases = {
    {12, 0.5f, 7, 3}, {12, 0.1f, 7, 3},   {1, 0.75f, 8, 0},   {0, 0.5f, 1, 1},
    {5, 0.0f, 9, 9},  {257, 0.25f, 1, 3}, {257, 0.25f, 1, 4}, {63, 0.9f, 1ull << 40, 1ull << 33}};

std::vector<bool> mask(const Case& c) {
  std::vector<bool> kept;
  for (int i = 0; i < c.n; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    kept.push_back(uniform_from_bits(philox4x32(c.seed, index / 4, c.stream)[index % 4]) >= c.p);
  }
  return kept;
}

Values chosen(const Values& x, const std::vector<bool>& kept, double factor, bool wanted = true) {
  Values out(x.size(), 0.0);
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = kept[i] == wanted ? x[i] * factor : 0.0;
  return out;
}

// Every value is 0 or scaled as it should be, and others are 0 than should be.
Mistake another_mask(const Values& x, double scale, const char* nudge) {
  return when(
      [x, scale](const Answer& a) {
        for (std::size_t i = 0; i < x.size(); ++i) {
          if (std::isnan(a.actual[i])) return false;
          const bool dropped = std::abs(a.actual[i]) <= a.allowed[i];
          if (!dropped && std::abs(a.actual[i] - x[i] * scale) > 4 * a.allowed[i]) return false;
        }
        return true;
      },
      nudge);
}

std::vector<Mistake> mistakes(const Case& c, const Values& x, const char* other_mask) {
  const std::vector<bool> kept = mask(c);
  const double scale = 1 / (1 - double{c.p});
  return {
      gives(chosen(x, kept, 1),
            "The kept values do not grow: with a part of them gone, the sum of all would shrink. "
            "Multiply by 1 / (1 - p)."),
      gives(chosen(x, kept, 1 - c.p), "Divide by 1 - p: the kept values grow."),
      gives(chosen(x, kept, 1 / double{c.p}),
            "1 / p: but p is the probability to be dropped. Values are kept with probability "
            "1 - p."),
      gives(chosen(x, kept, scale, false),
            "The wrong ones are dropped: is_kept says which values stay."),
      gives(x, "Nothing is dropped."),
      gives(chosen(x, kept, 2),
            "Each kept value is doubled. That is right for p = 0.5 only: multiply by 1 / (1 - p)."),
      gives(chosen(x, std::vector<bool>(x.size(), true), scale),
            "All values grow, and none is dropped: those that is_kept does not name become 0."),
      another_mask(x, scale, other_mask),
  };
}

// The kept values are right, and the dropped ones still hold what they held before.
Mistake dropped_stay(const Case& c, const Values& before) {
  return when(
      [kept = mask(c), before](const Answer& a) {
        for (std::size_t i = 0; i < kept.size(); ++i) {
          const double wanted = kept[i] ? a.expected[i] : before[i];
          const bool same = std::abs(a.actual[i] - wanted) <= a.allowed[i] ||
                            (std::isnan(a.actual[i]) && std::isnan(wanted));
          if (!same) return false;
        }
        return true;
      },
      "The dropped values are as they were before the call. They are written, too: 0.");
}

void examine_forward(Exam& exam) {
  for (const Case& c : kCases) {
    const Values in = random_values(c.n, 1, 1.0, 2.0);
    const Values expected = chosen(in, mask(c), 1 / (1 - double{c.p}));
    std::vector<Mistake> known = mistakes(
        c, in, "This is another mask: ask is_kept for value i, with the p, seed and stream given.");
    const auto call = fmt::format("dropout_forward(n={}, p={:g}, seed={}, stream={})", c.n, c.p,
                                  c.seed, c.stream);
    Sandbox& s = exam.call(call);
    known.push_back(dropped_stay(c, Values(in.size(), NAN)));
    float* out = s.output(c.n);
    const float* x = s.input(in);
    ref::dropout_forward(out, x, c.n, c.p, c.seed, c.stream);
    exam.expect("out", out, expected, {{"i", c.n}}, {}, known);
    Sandbox& same = exam.call(call + ", out in the place of x");
    known.back() = dropped_stay(c, in);
    float* both = same.accumulator(in);
    ref::dropout_forward(both, both, c.n, c.p, c.seed, c.stream);
    exam.expect("out", both, expected, {{"i", c.n}}, {}, known);
  }
}

void examine_backward(Exam& exam) {
  for (const Case& c : kCases) {
    const Values dout = random_values(c.n, 2, 1.0, 2.0);
    const double scale = 1 / (1 - double{c.p});
    const Values expected = chosen(dout, mask(c), scale);
    const auto call = fmt::format("dropout_backward(n={}, p={:g}, seed={}, stream={})", c.n, c.p,
                                  c.seed, c.stream);
    Sandbox& s = exam.call(call);
    float* dx = s.accumulator(c.n, 4);
    const float* d = s.input(dout);
    ref::dropout_backward(dx, d, c.n, c.p, c.seed, c.stream);
    exam.expect_added(
        "dx", dx, expected, {{"i", c.n}}, {.scale = 16},
        mistakes(c, dout,
                 "This is another mask than the forward pass had. A value that was dropped gets no "
                 "gradient, and one that was kept does: the same i, p, seed and stream must be "
                 "asked for."));
    Sandbox& same = exam.call(call + ", dx in the place of dout");
    float* both = same.accumulator(dout);
    ref::dropout_backward(both, both, c.n, c.p, c.seed, c.stream);
    Values doubled = dout;
    for (std::size_t i = 0; i < doubled.size(); ++i) doubled[i] += expected[i];
    exam.expect("dx", both, expected, {{"i", c.n}}, {},
                {gives(doubled,
                       "dx is dout here: the contract says that the value is replaced, not added "
                       "to. Compare the two pointers."),
                 dropped_stay(c, dout)});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"10.dropout_forward", examine_forward}, {"10.dropout_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
