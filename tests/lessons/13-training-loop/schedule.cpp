// Grades exercises/13-training-loop/schedule.cpp.
#include "solutions/13-training-loop/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

// The ways to be wrong, one at a time.
struct Rule {
  double first = 1, last = 1;  // warm-up: lr * (step + first) / (warmup + last)
  bool no_warmup = false;
  bool from_start = false;     // the cosine counts from step 0
  bool never_arrives = false;  // ... or is stretched over all steps behind the warm-up
  bool to_zero = false;        // min_lr is forgotten
  bool no_half = false;
  bool no_pi = false;
  bool whole_turn = false;
  bool straight = false;  // a line instead of the cosine
  bool constant = false;  // r is 0, as integers divide
  bool comes_back = false;
  bool half_way = false;      // cos(pi / 2 r)
  bool ends_at_zero = false;  // 0 behind the last step
  bool integer_warmup = false;
  bool from_min = false;  // the warm-up begins at min_lr
  bool floor = false;     // the larger of min_lr and a cosine to 0
  bool of_lr = false;     // min_lr is taken for a share of lr
  bool too_long = false;  // step == warmup belongs to the warm-up
  bool rough_pi = false;
};

double rate(int step, const ref::Schedule& s, const Rule& rule) {
  const double lr = s.lr, given = rule.of_lr ? lr * s.min_lr : double{s.min_lr};
  const double low = rule.to_zero || rule.floor ? 0 : given;
  if (step < s.warmup && rule.integer_warmup) return lr * ((step + 1) / (s.warmup + 1));
  if (step < s.warmup && rule.from_min) {
    return given + (lr - given) * (step + 1) / (s.warmup + 1);
  }
  if (step == s.warmup && rule.too_long) return lr;
  if (step < s.warmup && !rule.no_warmup) return lr * (step + rule.first) / (s.warmup + rule.last);
  if (step >= s.steps && !rule.comes_back) {
    return rule.ends_at_zero ? 0 : rule.floor || rule.of_lr ? double{s.min_lr} : low;
  }
  double r = static_cast<double>(step - s.warmup) / std::max(s.steps - s.warmup, 1);
  if (rule.from_start) r = static_cast<double>(step) / s.steps;
  if (rule.never_arrives) r = static_cast<double>(step - s.warmup) / s.steps;
  if (rule.constant) r = std::floor(r);
  const double half_turn = rule.no_pi        ? 1
                           : rule.whole_turn ? 2 * M_PI
                           : rule.half_way   ? M_PI / 2
                           : rule.rough_pi   ? 3.14
                                             : M_PI;
  const double turn = std::cos(half_turn * r);
  const double share = rule.straight ? 1 - r : (1 + turn) * (rule.no_half ? 1 : 0.5);
  const double value = low + share * (lr - low);
  return rule.floor ? std::max(value, given) : value;
}

Values curve(const ref::Schedule& s, int steps, const Rule& rule) {
  Values out;
  for (int step = 0; step < steps; ++step) out.push_back(rate(step, s, rule));
  return out;
}

std::vector<Mistake> mistakes(const ref::Schedule& s, int steps) {
  std::vector<Mistake> all;
  const auto add = [&](const Rule& rule, const char* nudge) {
    const Values wrong = curve(s, steps, rule), right = curve(s, steps, {});
    if (wrong != right) all.push_back(gives(wrong, nudge));
  };
  add({.first = 0},
      "The warm-up is off by one: the first step, step 0, has a rate of 0 and teaches "
      "nothing. Steps count from 0, so step + 1 of warmup + 1.");
  add({.first = 0, .last = 0},
      "The warm-up is off by one: the first step, step 0, has a rate of 0 and teaches nothing. "
      "Steps count from 0, so step + 1 of warmup + 1.");
  add({.last = 0},
      "The warm-up is off by one: it reaches lr in its last step already. Step + 1 "
      "of warmup + 1: the first step behind the warm-up is the first at lr.");
  add({.no_warmup = true}, "There is no warm-up: before step `warmup` the rate grows in a line.");
  add({.from_start = true},
      "The cosine counts from step 0. It begins where the warm-up ends: r is 0 at step `warmup`.");
  add({.never_arrives = true},
      "The cosine never reaches min_lr: it has steps - warmup steps to get there, not `steps`.");
  add({.to_zero = true}, "The rate falls to 0. It is to fall to min_lr, and stay there.");
  add({.no_half = true}, "1 + cos is between 0 and 2: the half is missing.");
  add({.no_pi = true}, "cos(r) falls to 0.54 only: cos(pi * r) falls to -1.");
  add({.whole_turn = true}, "cos(2 pi r) goes down and up again: half a turn is pi.");
  add({.straight = true}, "This falls in a straight line; a cosine is asked for.");
  add({.constant = true},
      "The rate stays at lr: is r a quotient of integers? 3 / 7 is 0 for integers.");
  add({.half_way = true}, "cos(pi / 2 r) falls to 0 only: cos(pi r) falls to -1.");
  add({.ends_at_zero = true}, "From step `steps` on the rate is min_lr, not 0.");
  add({.integer_warmup = true},
      "The warm-up is 0 all the way: (step + 1) / (warmup + 1) was divided as integers.");
  add({.from_min = true},
      "The warm-up begins at min_lr here. It comes from 0: lr * (step + 1) / (warmup + 1).");
  add({.floor = true},
      "The cosine falls to 0 and is cut off at min_lr. It is to reach min_lr in its last step: "
      "only lr - min_lr is multiplied.");
  add({.of_lr = true}, "min_lr is a rate, not a share of lr.");
  add({.too_long = true},
      "Step `warmup` is behind the warm-up: where steps == warmup, its rate is min_lr.");
  add({.rough_pi = true}, "Is pi 3.14 here? A double has 16 digits: 3.141592653589793.");
  add({.comes_back = true},
      "From step `steps` on the rate is min_lr; your cosine comes up again behind it.");
  all.push_back(when(
      [](const Answer& a) {
        return std::any_of(a.actual.begin(), a.actual.end(),
                           [](double v) { return std::isnan(v); });
      },
      "NaN comes from 0 / 0 here: where steps == warmup nothing is left for the cosine. Ask "
      "whether "
      "step >= steps before you divide."));
  return all;
}

void examine(Exam& exam) {
  for (const auto& s : std::vector<ref::Schedule>{{1e-3f, 1e-4f, 5, 20},
                                                  {1.0f, 0.25f, 4, 12},
                                                  {0.5f, 0.125f, 1, 3},
                                                  {1.0f, 0.1f, 0, 7},
                                                  {3e-3f, 0.0f, 100, 1009},
                                                  {2.0f, 2.0f, 3, 9},
                                                  {1.0f, 0.1f, 5, 5},
                                                  {1.0f, 0.1f, 0, 1},
                                                  {1.0f, 0.1f, 0, 0}}) {
    exam.call(fmt::format("learning_rate_at(step, lr={}, min_lr={}, warmup={}, steps={})", s.lr,
                          s.min_lr, s.warmup, s.steps));
    const int steps = s.steps + s.steps / 2 + 3;
    Values actual;
    for (int step = 0; step < steps; ++step) actual.push_back(ref::learning_rate_at(step, s));
    exam.expect("the rate", actual, curve(s, steps, {}), {{"step", steps}}, {.factor = 4},
                mistakes(s, steps));
  }
}

}  // namespace

std::vector<Task> tasks() { return {{"13.learning_rate_at", examine}}; }

}  // namespace tinygpt::lessons
