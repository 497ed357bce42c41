// How axpy and scale are examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

using ArrayFunction = void(float*, const float*, float, std::int64_t);

inline const std::vector<std::int64_t>& array_sizes() {
  // A block of 256 threads, one more and one less, a prime, nothing; and more than 1,024 blocks.
  static const std::vector<std::int64_t> sizes = {5, 1, 0, 2503, 255, 256, 257, 262401};
  return sizes;
}

inline void examine_axpy(Exam& exam, ArrayFunction* axpy) {
  for (const std::int64_t n : array_sizes()) {
    const Values x = random_values(n, 1);
    Values added = x;
    for (double& value : added) value *= 0.5;
    Sandbox& s = exam.call(fmt::format("axpy(a=0.5, n={})", n));
    float* y = s.accumulator(n, 2);
    axpy(y, s.input(x), 0.5f, n);
    exam.expect_added("y", y, added, {{"i", static_cast<int>(n)}});
  }
}

inline void examine_scale(Exam& exam, ArrayFunction* scale) {
  for (const std::int64_t n : array_sizes()) {
    const Shape shape = {{"i", static_cast<int>(n)}};
    const Values x = random_values(n, 1);
    Values expected = x, untouched_tail;
    for (double& value : expected) value *= -1.5;
    untouched_tail = expected;
    const auto whole = static_cast<std::size_t>(n / 256 * 256);
    for (std::size_t i = whole; i < untouched_tail.size(); ++i) untouched_tail[i] = x[i];
    Sandbox& s = exam.call(fmt::format("scale(a=-1.5, n={})", n));
    float* y = s.output(n);
    scale(y, s.input(x), -1.5f, n);
    exam.expect(
        "y", y, expected, shape, {},
        {when(
             [](const Answer& a) {
               return a.actual.size() > 512 && !std::isnan(a.actual[255]) &&
                      std::isnan(a.actual[256]);
             },
             "Only the first 256 elements are written. A thread's number in its block is not yet "
             "that of its element, which is blockIdx.x * blockDim.x + threadIdx.x; and the grid "
             "needs a block for each 256."),
         when(
             [](const Answer& a) {
               return a.actual.size() > 256 && std::isnan(a.actual.back()) &&
                      !std::isnan(a.actual.front());
             },
             "The tail is missing: n / 256 rounds down, so the elements behind the last whole "
             "block have no "
             "thread. Round up (ceil_div), and guard the threads too many with if (i < n)."),
         when(
             [](const Answer& a) {
               return a.actual.size() > 1 && !std::isnan(a.actual[0]) && std::isnan(a.actual[1]);
             },
             "Only y[0] is written. Every element needs a turn of the loop, or a thread: number "
             "threadIdx.x of block blockIdx.x has element blockIdx.x * blockDim.x + threadIdx.x."),
         when(
             [](const Answer& a) {
               return a.actual.size() > 1 && !std::isnan(a.actual.front()) &&
                      std::isnan(a.actual.back());
             },
             "Only the first elements are written: how far does the loop go, or the grid reach?"),
         when(
             [](const Answer& a) {
               return !a.actual.empty() && std::isnan(a.actual.front()) &&
                      std::isnan(a.actual.back());
             },
             "y holds NaN before the call, and still does. Either nothing was written (is there a "
             "launch, and a line in the kernel?), or what was in y went into it: it is to be "
             "written (=), from x alone, not added to (+=) or multiplied (*=).")});
    Sandbox& same = exam.call(fmt::format("scale(a=-1.5, n={}), y in the place of x", n));
    float* both = same.accumulator(x);
    scale(both, both, -1.5f, n);
    exam.expect("y", both, expected, shape, {},
                {when([](const Answer&) { return true; },
                      "In this call x and y are one array, which the contract allows: whatever is "
                      "written to y before x[i] is read has overwritten it.")});
  }
}

}  // namespace tinygpt::lessons
