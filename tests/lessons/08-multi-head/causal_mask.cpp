// Grades exercises/08-multi-head/causal_mask.cpp.
#include <fmt/format.h>

#include <cmath>

#include "solutions/08-multi-head/attention.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

// The scores with `hidden` wherever `hides` says so.
Values masked(Values scores, int T, const std::function<bool(int t, int u)>& hides,
              double hidden = -INFINITY) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const int at = static_cast<int>(i % static_cast<std::size_t>(T * T));
    if (hides(at / T, at % T)) scores[i] = hidden;
  }
  return scores;
}

Mistake exactly(Values wrong, const std::string& nudge) {
  return when([wrong = std::move(wrong)](const Answer& a) { return a.actual == wrong; }, nudge);
}

void examine_mask(Exam& exam) {
  struct Size {
    int N, T;
  };
  for (const auto& [N, T] :
       std::vector<Size>{{1, 4}, {2, 3}, {1, 1}, {3, 1}, {0, 5}, {2, 0}, {1, 33}, {5, 7}}) {
    const Values scores = random_values(std::int64_t{N} * T * T, 1, 3.0);
    const auto future = [](int t, int u) { return u > t; };
    const Values expected = masked(scores, T, future);
    Values first_only = scores;
    for (std::size_t i = 0; i < scores.size() && i < static_cast<std::size_t>(T * T); ++i) {
      first_only[i] = expected[i];
    }
    Values rows_apart = scores;  // row t of matrix n looked for at (n + t) * T
    for (int n = 0; n < N; ++n) {
      for (int t = 0; t < T; ++t) {
        for (int u = t + 1; u < T; ++u) {
          rows_apart[static_cast<std::size_t>((n + t) * T + u)] = -INFINITY;
        }
      }
    }
    Sandbox& s = exam.call(fmt::format("causal_mask(N={}, T={})", N, T));
    float* buffer = s.accumulator(scores);
    ref::causal_mask(buffer, N, T);
    exam.expect(
        "scores", buffer, expected, {{"n", N}, {"t", T}, {"u", T}}, {.scale = 1e-3},
        {exactly(masked(scores, T, [](int t, int u) { return u >= t; }),
                 "The mask is off by one: a query sees itself, so key u = t stays."),
         exactly(masked(scores, T, [](int t, int u) { return u > t + 1; }),
                 "The mask is off by one: query t still sees key t + 1, the very token that it is "
                 "to predict."),
         exactly(masked(scores, T, [](int t, int u) { return u < t; }),
                 "This hides the past. Row t is query t, column u is key u: hide where u > t."),
         exactly(masked(scores, T, [](int t, int u) { return u <= t; }),
                 "This hides what the query may see, and shows the future. Hide where u > t."),
         exactly(masked(scores, T, future, 0.0),
                 "A score of 0 is a score like any other: exp(0) is 1. Only -infinity becomes the "
                 "probability 0."),
         exactly(
             rows_apart,
             "Matrix n begins n * T * T numbers after the first, not n * T: one matrix is T rows "
             "of T."),
         when(
             [&](const Answer& a) {
               bool any = false;
               for (std::size_t i = 0; i < a.actual.size(); ++i) {
                 const bool hidden = std::isinf(a.expected[i]);
                 if (hidden ? !std::isinf(a.actual[i]) : !std::isnan(a.actual[i])) return false;
                 any |= !hidden;
               }
               return any;
             },
             "0 times infinity is NaN: do not multiply by the mask, choose. What the query may see "
             "is not touched."),
         exactly(first_only, "Only the first matrix is masked; there are N of them, T * T apart."),
         when(
             [&](const Answer& a) {
               for (std::size_t i = 0; i < a.actual.size(); ++i) {
                 const bool hidden = std::isinf(a.expected[i]);
                 if (hidden ? !(a.actual[i] < -1e3) : a.actual[i] != a.expected[i]) return false;
               }
               return true;
             },
             "A large negative number hides a key only as long as the scores are smaller; the "
             "contract says -infinity (-INFINITY of <cmath>).")});
  }
}

}  // namespace

std::vector<Task> tasks() { return {{"08.causal_mask", examine_mask}}; }

}  // namespace tinygpt::lessons
