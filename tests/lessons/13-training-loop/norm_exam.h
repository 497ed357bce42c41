// How the gradient's norm is examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

using NormFunction = void(float*, const float*, float*, std::int64_t);

inline double exact_norm(const Values& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum);
}

struct NormCase {
  std::string what;
  Values grad;
};

inline std::vector<NormCase> norm_cases(std::int64_t most) {
  std::vector<NormCase> cases = {{"grad={3, -4}", {3, -4}}, {"one value", {-2.5}}, {"n=0", {}}};
  for (const int n : {7, 255, 256, 257, 1025, 3001}) {
    cases.push_back({fmt::format("n={}", n), random_values(n, 1)});
  }
  cases.push_back({"50 values of 1e25, whose squares no float holds", Values(50, 1e25)});
  // One large value first, and many whose squares a float cannot add to its square.
  Values many(20'011, 0.125);
  many[0] = 1024;
  cases.push_back({"one value of 1024, then 20010 of 0.125", many});
  if (most > 20'011) cases.push_back({fmt::format("n={}", most), random_values(most, 2)});
  return cases;
}

inline void examine_norm(Exam& exam, NormFunction* norm_of,
                         const std::function<std::int64_t(std::int64_t)>& scratch_size,
                         std::int64_t most = 0) {
  for (const auto& [what, grad] : norm_cases(most)) {
    const auto n = static_cast<std::int64_t>(grad.size());
    const double expected = exact_norm(grad);
    double absolute = 0, largest = 0, single = 0;
    float in_float = 0;
    for (const double g : grad) {
      absolute += std::abs(g);
      largest = std::max(largest, std::abs(g));
      in_float += static_cast<float>(g) * static_cast<float>(g);
      single = std::sqrt(double{in_float});
    }
    Sandbox& s = exam.call(fmt::format("gradient_norm({})", what));
    const float* x = s.input(grad);
    float* norm = s.output(1);
    float* scratch = s.scratch(scratch_size(n));
    norm_of(norm, x, scratch, n);
    std::vector<Mistake> mistakes;
    const auto add = [&](double wrong, const char* nudge) {
      const bool other = !(std::abs(wrong - expected) <= 1e-5 * expected);
      if (other) mistakes.push_back(gives({wrong}, nudge));
    };
    add(expected * expected, "This is the square of the norm: the root is missing.");
    add(std::pow(expected, 4),
        "This is the norm to the fourth: the squares are squared again in the second stage. Each "
        "stage ends with a root.");
    add(std::sqrt(expected), "A root too many: one root, of the sum of the squares.");
    add(expected / std::sqrt(static_cast<double>(std::max<std::int64_t>(n, 1))),
        "Divided by n: this is the root of the mean square. The norm is the root of the sum.");
    add(std::sqrt(absolute), "The values are added up without their squares.");
    if (n == 0) {
      mistakes.push_back(when([](const Answer& a) { return std::isnan(a.actual[0]); },
                              "With n = 0 the norm is 0, and somebody has to write it."));
      mistakes.push_back(when([](const Answer& a) { return a.actual[0] > 0; },
                              "The norm of nothing is 0: is something small added to the sum?"));
    }
    // What a warp alone adds up, in every block of the first stage and in the second.
    Values of_warps;
    for (std::int64_t from = 0; from < n; from += 256) {
      const auto begin = grad.begin() + from, end = begin + std::min<std::int64_t>(32, n - from);
      of_warps.push_back(exact_norm({begin, end}));
    }
    of_warps.resize(std::min<std::size_t>(of_warps.size(), 32));
    if (n > 32 && n <= 1024 * 256) {
      add(exact_norm(of_warps),
          "Only the first 32 threads' sums arrived: warp_sum adds up a warp, block_sum the whole "
          "block.");
    }
    add(absolute, "This is the sum of the absolute values: square them, and take the root.");
    add(largest, "This is the largest value. The norm is the root of the sum of squares.");
    for (const std::size_t first : {std::size_t{256}, std::size_t{65'536}, std::size_t{262'144}}) {
      if (grad.size() <= first) continue;
      add(exact_norm({grad.begin(), grad.begin() + static_cast<std::ptrdiff_t>(first)}),
          "Only the first values arrive: as many as the grid has threads, or the second stage's "
          "one "
          "block. Threads have to come round: i += index_stride().");
    }
    if (!std::isfinite(single)) {
      mistakes.push_back(when([](const Answer& a) { return !std::isfinite(a.actual[0]); },
                              "1e25 squared is more than a float holds: add up in double."));
    }
    if (largest > 1000 * 0.125 && largest < 1e6) {
      mistakes.push_back(
          when([largest](const Answer& a) { return std::abs(a.actual[0] - largest) < 0.15; },
               "The many small squares were lost beside the large one: a float has seven digits. "
               "Add up in double."));
    }
    exam.expect("norm", norm, {expected}, {{"norm", 1}}, {.factor = 4}, mistakes);
  }
}

}  // namespace tinygpt::lessons
