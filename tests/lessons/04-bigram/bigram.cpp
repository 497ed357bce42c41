// Grades exercises/04-bigram/bigram.cpp.
#include "solutions/04-bigram/bigram.h"

#include <fmt/format.h>

#include <cmath>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

struct Rule {
  std::int64_t pairs;        // of neighbours that are counted
  bool swapped = false;      // row and column
  bool whole_table = false;  // normalised by all counts instead of the row's
  bool half_smoothed = false;
  double smoothing = 1;
  bool smoothed_once = false;  // the row's sum grows by one smoothing instead of V
  int stride = 1;              // from one counted pair to the next
};

Values table_of(const std::vector<int>& tokens, int V, const Rule& rule) {
  const auto size = static_cast<std::size_t>(V);
  Values count(size * size);
  for (std::int64_t i = 0; i < rule.pairs; i += rule.stride) {
    const auto a = static_cast<std::size_t>(tokens[static_cast<std::size_t>(i)]);
    const auto b = static_cast<std::size_t>(tokens[static_cast<std::size_t>(i) + 1]);
    count[rule.swapped ? b * size + a : a * size + b] += 1;
  }
  double all = 0;
  for (const double c : count) all += c + rule.smoothing;
  Values table(count.size());
  for (std::size_t v = 0; v < size; ++v) {
    double sum = rule.half_smoothed ? 0 : rule.smoothing * (rule.smoothed_once ? 1 : V);
    for (std::size_t w = 0; w < size; ++w) sum += count[v * size + w];
    for (std::size_t w = 0; w < size; ++w) {
      table[v * size + w] =
          std::log((count[v * size + w] + rule.smoothing) / (rule.whole_table ? all : sum));
    }
  }
  return table;
}

void examine(Exam& exam) {
  struct Case {
    int n, V;
    std::int64_t train;
    float smoothing;
  };
  for (const auto& [n, V, train, smoothing] : std::vector<Case>{{12, 4, 7, 1.0f},
                                                                {8, 3, 8, 1.0f},
                                                                {1, 2, 1, 0.5f},
                                                                {5, 3, 0, 1.0f},
                                                                {40, 5, 31, 0.1f},
                                                                {400, 7, 300, 2.0f},
                                                                {9, 1, 6, 1.0f},
                                                                {50, 30, 40, 0.01f}}) {
    const std::vector<int> text = random_tokens(n, V, 3);
    const Rule rule{.pairs = std::max<std::int64_t>(train - 1, 0), .smoothing = double{smoothing}};
    const Values expected = table_of(text, V, rule);
    const auto with = [&](auto change) {
      Rule other = rule;
      change(other);
      return table_of(text, V, other);
    };
    Values plain = expected;
    for (double& value : plain) value = std::exp(value);
    Sandbox& s =
        exam.call(fmt::format("bigram_fit(train_size={}, V={}, smoothing={}), a text of {} tokens",
                              train, V, smoothing, n));
    float* table = s.output(std::int64_t{V} * V);
    const int* tokens = s.input(text);
    ref::bigram_fit(table, tokens, train, V, smoothing);
    exam.expect("log_probabilities", table, expected, {{"v", V}, {"w", V}},
                {.terms = 4, .scale = 8},
                {gives(with([&](Rule& r) { r.pairs = std::min<std::int64_t>(train, n - 1); }),
                       "One pair too many: its second token is the first of the validation text."),
                 gives(with([&](Rule& r) { r.pairs = std::min<std::int64_t>(train + 1, n - 1); }),
                       "You have counted too far. Tokens from train_size on are for validation: a "
                       "model that has seen them is judged too well."),
                 gives(with([](Rule& r) { r.swapped = true; }),
                       "Rows and columns are swapped: row v is the token that is there, column w "
                       "the one that follows."),
                 gives(with([](Rule& r) { r.whole_table = true; }),
                       "You divide by the count of all pairs. Row v is a distribution of its own: "
                       "divide by the row's sum."),
                 gives(with([](Rule& r) { r.half_smoothed = true; }),
                       "Smoothing is in the numerator only. Each of the row's V pairs is counted "
                       "`smoothing` times in "
                       "advance, so the row's sum grows by smoothing * V."),
                 gives(with([](Rule& r) { r.smoothed_once = true; }),
                       "The row's sum has `smoothing` once. Each of its V pairs is counted in "
                       "advance, so it grows by smoothing * V."),
                 gives(with([](Rule& r) { r.stride = 2; }),
                       "Every second pair is left out. Pairs overlap: each token but the last "
                       "begins one."),
                 gives(with([](Rule& r) { r.smoothing = 1e-300; }), "Smoothing is left out."),
                 gives(plain, "These are the probabilities; their logarithms are asked for.")});
  }
}

}  // namespace

std::vector<Task> tasks() { return {{"04.bigram_fit", examine}}; }

}  // namespace tinygpt::lessons
