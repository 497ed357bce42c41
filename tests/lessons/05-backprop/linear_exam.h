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

// A gradient of the layer's parameters with a mistake: which rows of dout arrive, and where.
struct LinearSlips {
  const Values &x, &weight, &dout;
  int N, C, OC;

  static double at(const Values& values, int i) { return values[static_cast<std::size_t>(i)]; }

  // dbias from the rows that `counts` lets through.
  template <class Counts>
  Values bias(Counts&& counts) const {
    Values out(static_cast<std::size_t>(OC));
    for (int n = 0; n < N; ++n) {
      for (int o = 0; o < OC && counts(n); ++o)
        out[static_cast<std::size_t>(o)] += at(dout, n * OC + o);
    }
    return out;
  }
  // Sums over n, o and c, each term(n, o, c) added to place(n, o, c) of an array of `size`.
  template <class Place, class Term>
  Values sums(int size, Place&& place, Term&& term) const {
    Values out(static_cast<std::size_t>(size));
    for (int n = 0; n < N; ++n) {
      for (int o = 0; o < OC; ++o) {
        for (int c = 0; c < C; ++c) out[static_cast<std::size_t>(place(n, o, c))] += term(n, o, c);
      }
    }
    return out;
  }
};

inline std::vector<Mistake> dx_mistakes(const LinearSlips& s) {
  const auto with = [&](auto term) {
    return s.sums(
        s.N * s.C, [&](int n, int, int c) { return n * s.C + c; }, term);
  };
  return {gives(Values(static_cast<std::size_t>(s.N * s.C), 0.0),
                "dx gets nothing: the gradient must flow on to the input."),
          gives(with([&](int n, int o, int c) {
                  return s.at(s.dout, n * s.OC + o) * s.at(s.weight, c * s.OC + o);
                }),
                "The weight is read as [C, OC]. It is [OC, C]: weight[o, c] is at o * C + c."),
          gives(with([&](int n, int o, int c) {
                  return s.at(s.dout, n * s.OC + o) * s.at(s.x, n * s.C + c);
                }),
                "A factor gets dout times the other factor: dx is dout times weight.")};
}

inline std::vector<Mistake> dweight_mistakes(const LinearSlips& s) {
  const auto with = [&](auto term) {
    return s.sums(
        s.OC * s.C, [&](int, int o, int c) { return o * s.C + c; }, term);
  };
  return {gives(with([&](int n, int o, int c) {
                  return s.at(s.dout, o * s.N + n) * s.at(s.x, n * s.C + c);
                }),
                "dout is read as if it were [OC, N], row by row. It is dY [N, OC] that lies in "
                "memory, and its rows are the columns of dY^T."),
          gives(with([&](int n, int o, int c) {
                  return s.at(s.dout, n * s.OC + o) * s.at(s.weight, o * s.C + c);
                }),
                "A factor gets dout times the other factor: dweight is dout times x.")};
}

inline std::vector<Mistake> dbias_mistakes(const LinearSlips& s, const Values& right) {
  const auto times = [&](double factor) {
    Values out = right;
    for (double& value : out) value *= factor;
    return out;
  };
  Values by_row(static_cast<std::size_t>(s.OC)), by_columns(by_row.size());
  for (int i = 0; i < s.N * s.OC; ++i) {
    if (i / s.OC < s.OC) by_row[static_cast<std::size_t>(i / s.OC)] += s.at(s.dout, i);
    by_columns[static_cast<std::size_t>(i / s.N)] += s.at(s.dout, i);
  }
  return {
      gives(times(1.0 / std::max(s.N, 1)),
            "This is the mean over the rows; the sum is asked for. Whether a mean is wanted, dout "
            "says already."),
      gives(s.bias([&](int n) { return n == s.N - 1; }),
            "Only the last row of dout arrives: the bias served every row, so the gradients of all "
            "rows add up (+=)."),
      gives(times(s.C),
            "The bias is added to an output once, and here its gradient is taken once for each of "
            "the C inputs: it belongs outside of the loop over c."),
      gives(by_row,
            "The gradient of row n goes to dbias[n]. A bias belongs to an output: dbias[o]."),
      gives(by_columns, "dout is read down the wrong way: dout[n, o] is at n * OC + o."),
      gives(times(8),
            "Eight times too much: the 8 threads of a column share its rows, thread y "
            "takes y, y + 8, ..."),
      gives(s.bias([](int n) { return n % 8 == 0; }),
            "Only the rows of the threads with threadIdx.y = 0 arrive: column_sum adds what the 8 "
            "threads of a column have."),
      gives(s.bias([](int n) { return n < 8; }),
            "Only the first 8 rows arrive: each thread goes on to row y + 8, y + 16, ..."),
      gives(s.bias([](int n) { return n % 32 < 8; }),
            "Rows are left out: a column has 8 threads, so the next row of a thread is 8 further."),
  };
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
    const LinearSlips slips{x, weight, dout, N, C, OC};
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
                          dx_mistakes(slips));
      }
      if (dweight) {
        std::vector<Mistake> mistakes = dweight_mistakes(slips);
        mistakes.push_back(gives(laid_out_transposed(exact[1].value, OC, C),
                                 "The weight gradient is right but transposed: dweight is [OC, C], "
                                 "as the weight."));
        exam.expect_added("dweight", dweight, exact[1].value, {{"o", OC}, {"c", C}},
                          within(exact[1], N), mistakes);
      }
      if (dbias) {
        exam.expect_added("dbias", dbias, exact[2].value, {{"o", OC}}, within(exact[2], N),
                          dbias_mistakes(slips, exact[2].value));
      }
    }
  }
}

}  // namespace tinygpt::lessons
