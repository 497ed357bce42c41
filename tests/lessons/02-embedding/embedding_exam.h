// How the embedding table is examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <cstdint>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

struct TableSize {
  int N, V, C;
};

// More tokens than rows, so that some repeat; rows as long as a block, and longer.
inline const std::vector<TableSize>& table_sizes() {
  static const std::vector<TableSize> sizes = {{4, 3, 2}, {1, 1, 1},    {0, 3, 2},   {5, 4, 4},
                                               {9, 2, 3}, {17, 5, 257}, {6, 50, 300}};
  return sizes;
}

inline void examine_gather(Exam& exam,
                           void (*forward)(float*, const int*, const float*, int, int, int)) {
  for (const auto& [N, V, C] : table_sizes()) {
    const std::vector<int> tokens = random_tokens(N, V, 3);
    const Values weight = random_values(std::int64_t{V} * C, 1);
    Values expected, column;
    for (const int token : tokens) {
      for (int c = 0; c < C; ++c) {
        expected.push_back(weight[static_cast<std::size_t>(token * C + c)]);
        column.push_back(weight[static_cast<std::size_t>((token + c * V) % (V * C))]);
      }
    }
    Sandbox& s = exam.call(fmt::format("embedding_forward(N={}, C={}, V={})", N, C, V));
    float* out = s.output(std::int64_t{N} * C);
    const int* tokens_ = s.input(tokens);
    forward(out, tokens_, s.input(weight), N, C, V);
    exam.expect(
        "out", out, expected, {{"n", N}, {"c", C}}, {},
        {gives(column,
               "Row and column are swapped: token v has row v of the table, C values side by side "
               "from v * C on.")});
  }
}

inline void examine_scatter(Exam& exam,
                            void (*backward)(float*, const float*, const int*, int, int, int)) {
  for (const auto& [N, V, C] : table_sizes()) {
    const std::vector<int> tokens = random_tokens(N, V, 3);
    const Values dout = random_values(std::int64_t{N} * C, 1);
    Values expected(static_cast<std::size_t>(V * C)), last = expected, magnitude = expected;
    for (int n = 0; n < N; ++n) {
      for (int c = 0; c < C; ++c) {
        const auto at = static_cast<std::size_t>(tokens[static_cast<std::size_t>(n)] * C + c);
        const double d = dout[static_cast<std::size_t>(n * C + c)];
        expected[at] += d, magnitude[at] += std::abs(d), last[at] = d;
      }
    }
    Sandbox& s =
        exam.call(fmt::format("embedding_backward(N={}, C={}, V={}), some tokens equal", N, C, V));
    float* dweight = s.accumulator(std::int64_t{V} * C, 5);
    const float* dout_ = s.input(dout);
    backward(dweight, dout_, s.input(tokens), N, C, V);
    exam.expect_added(
        "dweight", dweight, expected, {{"v", V}, {"c", C}},
        {.terms = static_cast<double>(N), .magnitudes = magnitude},
        {gives(last,
               "Of a token that occurs twice only the last gradient arrives. Its row was copied "
               "twice, so it collects both: +=.")});
  }
}

}  // namespace tinygpt::lessons
