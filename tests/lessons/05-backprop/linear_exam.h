// How the backward pass of a linear layer is examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <cstdint>

#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

using LinearBackwardFunction = void(float*, float*, float*, const float*, const float*,
                                    const float*, float*, int, int, int);

struct Wanted {
  bool dx, dweight, dbias;
};

// What is added if rows and columns of a [rows, cols] gradient change places.
inline Values laid_out_transposed(const Values& values, int rows, int cols) {
  Values out(values.size());
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < cols; ++c) {
      out[static_cast<std::size_t>(c * rows + r)] = values[static_cast<std::size_t>(r * cols + c)];
    }
  }
  return out;
}

inline void examine_linear_backward(Exam& exam, LinearBackwardFunction* backward,
                                    const std::vector<Wanted>& parts) {
  struct Size {
    int N, C, OC;
  };
  for (const auto& [N, C, OC] : std::vector<Size>{{1, 1, 1},
                                                  {2, 3, 4},
                                                  {4, 2, 1},
                                                  {3, 5, 5},
                                                  {0, 3, 2},
                                                  {7, 33, 5},
                                                  {40, 3, 35},
                                                  {5, 65, 33}}) {
    const Values x = random_values(std::int64_t{N} * C, 1),
                 weight = random_values(std::int64_t{OC} * C, 2);
    const Values dout = random_values(std::int64_t{N} * OC, 3);
    const Values bias = random_values(OC, 4);
    const auto exact = test::linear_equation(N, C, OC).backward({x, weight, bias}, dout);
    for (const Wanted& wanted : parts) {
      Sandbox& s = exam.call(fmt::format(
          "linear_backward(N={}, C={}, OC={}{}{}{})", N, C, OC, wanted.dx ? "" : ", dx=nullptr",
          wanted.dweight ? "" : ", dweight=nullptr", wanted.dbias ? "" : ", dbias=nullptr"));
      float* dx = wanted.dx ? s.accumulator(std::int64_t{N} * C, 5) : nullptr;
      float* dweight = wanted.dweight ? s.accumulator(std::int64_t{OC} * C, 6) : nullptr;
      float* dbias = wanted.dbias ? s.accumulator(OC, 7) : nullptr;
      const float *dout_ = s.input(dout), *x_ = s.input(x), *weight_ = s.input(weight);
      backward(dx, dweight, dbias, dout_, x_, weight_, s.scratch(16), N, C, OC);
      const auto within = [](const test::Exact& e, int terms) {
        return Tolerance{.terms = static_cast<double>(terms), .magnitudes = e.magnitude};
      };
      if (dx) {
        exam.expect_added("dx", dx, exact[0].value, {{"n", N}, {"c", C}}, within(exact[0], OC),
                          {gives(Values(exact[0].value.size(), 0.0),
                                 "dx gets nothing: the gradient must flow on to the input.")});
      }
      if (dweight) {
        exam.expect_added("dweight", dweight, exact[1].value, {{"o", OC}, {"c", C}},
                          within(exact[1], N),
                          {gives(laid_out_transposed(exact[1].value, OC, C),
                                 "The weight gradient is right but transposed: dweight is [OC, C], "
                                 "as the weight.")});
      }
      if (dbias) {
        Values mean = exact[2].value;
        for (double& value : mean) value /= std::max(N, 1);
        Values last(static_cast<std::size_t>(OC));
        for (std::size_t o = 0; o < last.size() && N > 0; ++o) {
          last[o] = dout[static_cast<std::size_t>((N - 1) * OC) + o];
        }
        exam.expect_added(
            "dbias", dbias, exact[2].value, {{"o", OC}}, within(exact[2], N),
            {gives(last,
                   "Only the last row of dout arrives: the bias served every row, so the "
                   "gradients of all rows add up (+=)."),
             gives(mean,
                   "This is the mean over the rows; the sum is asked for. Whether a mean is "
                   "wanted, dout says already.")});
      }
    }
  }
}

}  // namespace tinygpt::lessons
