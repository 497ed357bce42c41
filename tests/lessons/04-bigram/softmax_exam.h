// How a softmax is examined, on the CPU or as a kernel.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

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

inline void examine_softmax(Exam& exam, const char* name, Softmax* softmax, bool in_place) {
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
    const std::vector<Mistake> mistakes = {
        when([large =
                  std::abs(mean) + scale > 20](const Answer& a) { return large && overflowed(a); },
             "These logits are large. exp(89) is already infinite in float, and exp(-200) is 0: "
             "subtract the "
             "row's largest value before exp. The quotient stays the same."),
        gives(column_softmax(in, N, V),
              "You normalise along the wrong axis: each row sums to 1, not each column."),
    };
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
