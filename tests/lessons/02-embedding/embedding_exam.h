// How the embedding table is examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

struct TableSize {
  int N, V, C;
};

// More tokens than rows, so that some repeat; rows as long as a block, and longer; rows longer than
// the largest block.
inline const std::vector<TableSize>& table_sizes() {
  static const std::vector<TableSize> sizes = {{4, 3, 2}, {1, 1, 1},    {0, 3, 2},    {5, 4, 4},
                                               {9, 2, 3}, {17, 5, 257}, {6, 50, 300}, {2, 3, 1031}};
  return sizes;
}

// As gives(), of a mistake that leaves NaN in places: here, and wherever `wrong_answer` has it.
inline Mistake gives_with_gaps(const Values& wrong_answer, std::string nudge) {
  return when(
      [wrong_answer](const Answer& a) {
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          if (!(std::abs(a.actual[i] - wrong_answer[i]) <= 4 * a.allowed[i]) &&
              !std::isnan(a.actual[i])) {
            return false;
          }
        }
        return !a.actual.empty() && !std::isnan(a.actual[0]);
      },
      std::move(nudge));
}

inline void examine_gather(Exam& exam,
                           void (*forward)(float*, const int*, const float*, int, int, int)) {
  for (const auto& [N, V, C] : table_sizes()) {
    const std::vector<int> tokens = random_tokens(N, V, 3);
    const Values weight = random_values(std::int64_t{V} * C, 1);
    const double absent = std::numeric_limits<double>::quiet_NaN();
    Values expected, column, column_by_c, by_place;
    for (const int token : tokens) {
      for (int c = 0; c < C; ++c) {
        const std::size_t place = by_place.size(), turned = static_cast<std::size_t>(c * C + token);
        by_place.push_back(place < weight.size() ? weight[place] : absent);
        column_by_c.push_back(turned < weight.size() ? weight[turned] : absent);
        expected.push_back(weight[static_cast<std::size_t>(token * C + c)]);
        column.push_back(weight[static_cast<std::size_t>((token + c * V) % (V * C))]);
      }
    }
    Sandbox& s = exam.call(fmt::format("embedding_forward(N={}, C={}, V={})", N, C, V));
    float* out = s.output(std::int64_t{N} * C);
    const int* tokens_ = s.input(tokens);
    forward(out, tokens_, s.input(weight), N, C, V);
    const char* swapped =
        "Row and column are swapped: token v has row v of the table, C values side by side from v "
        "* C on.";
    exam.expect(
        "out", out, expected, {{"n", N}, {"c", C}}, {},
        {when(
             [C = C](const Answer& a) {
               const auto size = static_cast<std::size_t>(C);
               for (std::size_t i = 0; i < a.actual.size(); ++i) {
                 const bool right = std::abs(a.actual[i] - a.expected[i]) <= a.allowed[i];
                 if (right != (i % size < 256)) return false;
               }
               return true;
             },
             "The first 256 values of a row are right: each thread copies one, and a row may be "
             "longer than a block. Let the threads come round: c += blockDim.x."),
         gives_with_gaps(column, swapped), gives_with_gaps(column_by_c, swapped),
         gives_with_gaps(by_place,
                         "Row n of out is row n of the table here. It is to be the row of token n, "
                         "which is row tokens[n].")});
  }
}

inline void examine_scatter(Exam& exam,
                            void (*backward)(float*, const float*, const int*, int, int, int)) {
  for (const auto& [N, V, C] : table_sizes()) {
    const std::vector<int> tokens = random_tokens(N, V, 3);
    const Values dout = random_values(std::int64_t{N} * C, 1);
    constexpr std::uint64_t kStart = 5;
    const Values start = random_values(std::int64_t{V} * C, kStart);
    Values expected(static_cast<std::size_t>(V * C)), last = expected, magnitude = expected;
    Values first = expected, mean = expected, mean_of_all = expected, by_place = expected;
    Values replaced = expected;
    for (int n = 0; n < N; ++n) {
      const auto times =
          static_cast<double>(std::ranges::count(tokens, tokens[static_cast<std::size_t>(n)]));
      for (int c = 0; c < C; ++c) {
        const auto place = static_cast<std::size_t>(n * C + c);
        if (place < by_place.size()) by_place[place] = dout[place];
        const auto at = static_cast<std::size_t>(tokens[static_cast<std::size_t>(n)] * C + c);
        const double d = dout[static_cast<std::size_t>(n * C + c)];
        if (magnitude[at] == 0) first[at] = d;
        expected[at] += d, magnitude[at] += std::abs(d), last[at] = d;
        mean[at] += d / times, mean_of_all[at] += d / N;
        replaced[at] = d - start[at];
      }
    }
    Sandbox& s =
        exam.call(fmt::format("embedding_backward(N={}, C={}, V={}), some tokens equal", N, C, V));
    float* dweight = s.accumulator(std::int64_t{V} * C, kStart);
    const float* dout_ = s.input(dout);
    backward(dweight, dout_, s.input(tokens), N, C, V);
    exam.expect_added(
        "dweight", dweight, expected, {{"v", V}, {"c", C}},
        {.terms = static_cast<double>(N), .magnitudes = magnitude},
        {gives(last,
               "Of a token that occurs twice only the last gradient arrives. Its row was copied "
               "twice, so it collects both: +=."),
         gives(first,
               "Of a token that occurs twice only the first gradient arrives. Its row was copied "
               "twice, so it collects both."),
         gives(replaced,
               "Each gradient replaces what was in the row. Gradients accumulate: use += where you "
               "have =."),
         gives(mean,
               "The gradients of a token that occurs twice are averaged. Both copies change the "
               "loss: add them up."),
         gives(mean_of_all,
               "The gradient is divided by the number of tokens. It is a sum, not a mean."),
         gives(
             by_place,
             "Row n of dout was added to row n of dweight. It belongs to the row that was copied, "
             "which is row tokens[n].")});
  }
}

// Large gradients of one token that cancel, and small ones between them: in another order than that
// of n, other small ones are lost in rounding.
inline void examine_order(Exam& exam,
                          void (*backward)(float*, const float*, const int*, int, int, int)) {
  const Values dout = {3e8, 1, -3e8, 2, 3e8, 4, -3e8, 8, 3e8, 1, -3e8, 5};
  const auto N = static_cast<int>(dout.size());
  float in_order = 0;
  double exact = 0;
  for (const double d : dout) in_order += static_cast<float>(d), exact += d;
  Sandbox& s = exam.call(fmt::format(
      "embedding_backward(N={}, C=1, V=2), one token, and sums that depend on the order", N));
  float* dweight = s.accumulator({0, 0});
  const float* dout_ = s.input(dout);
  backward(dweight, dout_, s.input(std::vector<int>(dout.size(), 1)), N, 1, 2);
  const double sum = s.values(dweight)[1];
  exam.expect_true(
      sum == in_order || sum == exact,
      fmt::format("dweight[v=1, c=0] is {}, expected {}, added up in the order of n", sum,
                  in_order),
      "The gradients of a token were added in another order than that of n, and rounded otherwise. "
      "Atomic additions come as the blocks come, so no two runs are alike. Let one block add up "
      "the whole row, in order.");
}

}  // namespace tinygpt::lessons
