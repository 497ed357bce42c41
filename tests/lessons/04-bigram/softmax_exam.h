// How a softmax is examined, on the CPU or as a kernel.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <map>

#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

using Softmax = void(float*, const float*, int, int);

// What code would answer that normalises columns instead of rows.
inline Values column_softmax(const Values& x, int N, int V) {
  Values out(x.size());
  for (int v = 0; v < V; ++v) {
    double largest = -INFINITY, sum = 0;
    const auto at = [&](int n) {
      return static_cast<std::size_t>(n) * static_cast<std::size_t>(V) +
             static_cast<std::size_t>(v);
    };
    for (int n = 0; n < N; ++n) largest = std::max(largest, x[at(n)]);
    for (int n = 0; n < N; ++n) sum += std::exp(x[at(n)] - largest);
    for (int n = 0; n < N; ++n) out[at(n)] = std::exp(x[at(n)] - largest) / sum;
  }
  return out;
}

// Values that are not finite where finite ones are expected, though nothing was left out: they were
// written as infinities, or infinity by infinity.
inline bool overflowed(const Answer& answer) {
  for (std::size_t i = 0; i < answer.actual.size(); ++i) {
    if (!std::isfinite(answer.actual[i]) && std::isfinite(answer.expected[i])) return true;
  }
  return false;
}

// What code would answer whose sum of exponentials is that of `group(n, v)`, with `shift(n, v)` in
// the exponent instead of the row's largest.
template <class Shift, class Group>
Values grouped_softmax(const Values& x, int N, int V, Shift&& shift, Group&& group) {
  std::map<int, double> sums;
  Values out(x.size());
  for (int n = 0; n < N; ++n) {
    for (int v = 0; v < V; ++v) {
      const auto i = static_cast<std::size_t>(n * V + v);
      out[i] = std::exp(x[i] - shift(n, v));
      sums[group(n, v)] += out[i];
    }
    for (int v = 0; v < V; ++v) out[static_cast<std::size_t>(n * V + v)] /= sums[group(n, v)];
  }
  return out;
}

inline double largest_of_row(const Values& x, int n, int V, int first = 0, int stride = 1) {
  double largest = -INFINITY;
  for (int v = first; v < V; v += stride) {
    largest = std::max(largest, x[static_cast<std::size_t>(n * V + v)]);
  }
  return largest;
}

inline std::vector<Mistake> row_mistakes(const Values& x, int N, int V) {
  Values quotients(x.size());
  for (int n = 0; n < N; ++n) {
    double sum = 0;
    const double largest = largest_of_row(x, n, V);
    const auto row = static_cast<std::size_t>(n * V);
    for (int v = 0; v < V; ++v) {
      quotients[row + static_cast<std::size_t>(v)] =
          std::exp(x[row + static_cast<std::size_t>(v)] / largest);
      sum += quotients[row + static_cast<std::size_t>(v)];
    }
    for (int v = 0; v < V; ++v) quotients[row + static_cast<std::size_t>(v)] /= sum;
  }
  const auto shift = [&](int n, int) { return largest_of_row(x, n, V); };
  return {
      gives(grouped_softmax(x, N, V, shift, [](int, int) { return 0; }),
            "The sum runs on from row to row: each row starts with 0."),
      gives(quotients,
            "The largest value is to be subtracted; a division by it changes the quotient."),
  };
}

// Blocks of 256 threads: what happens if a thread keeps to itself what the block should know.
inline std::vector<Mistake> block_mistakes(const Values& x, int N, int V) {
  constexpr int kBlock = 256;
  const auto row_largest = [&](int n, int) { return largest_of_row(x, n, V); };
  const auto own_largest = [&](int n, int v) {
    return largest_of_row(x, n, V, v % kBlock, kBlock);
  };
  const auto row = [](int n, int) { return n; };
  const auto own = [](int n, int v) { return n * kBlock + v % kBlock; };
  Values first = grouped_softmax(x, N, V, row_largest, row);
  for (int n = 0; n < N; ++n) {
    double sum = 0, all = 0;
    for (int v = 0; v < V; ++v) {
      const double e = std::exp(x[static_cast<std::size_t>(n * V + v)] - row_largest(n, v));
      sum += v < kBlock ? e : 0, all += e;
    }
    for (int v = 0; v < V; ++v) first[static_cast<std::size_t>(n * V + v)] *= all / sum;
  }
  const auto unwritten = [V](auto place) {
    return [V, place](const Answer& a) {
      bool some = false;
      for (std::size_t i = 0; i < a.actual.size(); ++i) {
        const bool left = place(static_cast<int>(i) / V, static_cast<int>(i) % V);
        if (std::isnan(a.actual[i]) != left) return false;
        some = some || left;
      }
      return some;
    };
  };
  return {
      gives(grouped_softmax(x, N, V, row_largest, own),
            "Each thread divides by the sum of its own values: block_sum makes one sum of 256, and "
            "hands it to all."),
      gives(grouped_softmax(x, N, V, own_largest, row),
            "Each thread subtracts the largest of its own values: block_max makes one of 256, and "
            "hands it to all."),
      gives(
          first,
          "The sum has the first 256 values only: a thread goes on to value i + 256, i + 512, ..."),
      when(unwritten([](int, int v) { return v >= kBlock; }),
           "Only the first 256 values of a row are written: a thread goes on to value i + 256, i + "
           "512, ..."),
      when(unwritten([](int n, int) { return n >= 1; }),
           "Only the first row is written: a block takes one row, so N blocks are launched."),
  };
}

using SoftmaxMistakes = std::vector<Mistake>(const Values& x, int N, int V);

inline void examine_softmax(Exam& exam, const char* name, Softmax* softmax, bool in_place,
                            SoftmaxMistakes* more) {
  struct Case {
    int N, V;
    double scale, mean;
  };
  // One value; a row as long as a block of threads, one more, and a prime; then large logits.
  for (const auto& [N, V, scale, mean] : std::vector<Case>{{1, 1, 1, 0},
                                                           {2, 3, 1, 0},
                                                           {3, 2, 1, 0},
                                                           {4, 4, 1, 5},
                                                           {5, 17, 3, 0},
                                                           {2, 257, 1, 0},
                                                           {1, 256, 1, 0},
                                                           {2, 611, 2, 0},
                                                           {0, 5, 1, 0},
                                                           {3, 4, 30, 0},
                                                           {2, 5, 1, 200},
                                                           {2, 5, 1, -200},
                                                           {3, 300, 1e4, 0}}) {
    const Values in = random_values(std::int64_t{N} * V, 1, scale, mean);
    const test::Exact expected = test::softmax_equation(N, V).forward({in});
    const Tolerance tolerance{.magnitudes = expected.magnitude};
    const Shape shape = {{"n", N}, {"v", V}};
    std::vector<Mistake> mistakes = {
        when([large =
                  std::abs(mean) + scale > 20](const Answer& a) { return large && overflowed(a); },
             "These logits are large. exp(89) is already infinite in float, and exp(-200) is 0: "
             "subtract the "
             "row's largest value before exp. The quotient stays the same."),
        gives(column_softmax(in, N, V),
              "You normalise along the wrong axis: each row sums to 1, not each column."),
    };
    for (SoftmaxMistakes* of : {&row_mistakes, more}) {
      const std::vector<Mistake> others = of(in, N, V);
      mistakes.insert(mistakes.end(), others.begin(), others.end());
    }
    const std::string size = fmt::format("(N={}, V={}), logits around {} +- {}", N, V, mean, scale);
    Sandbox& s = exam.call(name + size);
    float* out = s.output(std::int64_t{N} * V);
    const float* x = s.input(in);
    softmax(out, x, N, V);
    exam.expect("out", out, expected.value, shape, tolerance, mistakes);
    if (!in_place) continue;
    Sandbox& same = exam.call(name + size + ", out in the place of x");
    float* both = same.accumulator(in);
    softmax(both, both, N, V);
    exam.expect("out", both, expected.value, shape, tolerance,
                {when([](const Answer&) { return true; },
                      "Right with two arrays, wrong with one: does anything read x after out was "
                      "written over it?")});
  }
  Values in(33, -INFINITY), expected(33, 0.0);
  in[5] = 2, in[20] = 2, in[32] = -1e30;
  expected[5] = expected[20] = 0.5;
  Sandbox& s = exam.call(std::string(name) + "(N=1, V=33), all but three of the logits -inf");
  float* out = s.output(33);
  softmax(out, s.input(in), 1, 33);
  exam.expect(
      "out", out, expected, {{"n", 1}, {"v", 33}}, {.scale = 1},
      {when(overflowed,
            "A logit of -inf stands for a probability of 0. NaN comes from -inf - (-inf), "
            "or from 0 / 0: where a part of the row holds nothing but -inf, for instance.")});
}

}  // namespace tinygpt::lessons
