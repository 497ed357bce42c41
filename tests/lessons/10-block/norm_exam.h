// How the two norms are examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>

#include "tests/lessons/grading/exam.h"
#include "tests/lessons/grading/parts.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

inline constexpr const char* kTwoPasses =
    "Here the mean is large beside the deviation. mean(x^2) - mean(x)^2 is the difference of two "
    "large, nearly equal numbers, whose digits are gone: take the mean off first, then square "
    "(and do not round the sum on the way).";
inline constexpr const char* kInsideTheRoot =
    "eps belongs inside the root: 1 / sqrt(var + eps), not 1 / (sqrt(var) + eps).";

inline constexpr const char* kSumsGoOn =
    "The first row is right, and the others are not. Does every row begin with sums of 0, and n * "
    "C "
    "numbers further on?";
inline constexpr const char* kOnlyFirst32 =
    "Only the first 32 numbers of a row are right: a lane goes on to c + 32, c + 64, ... of the "
    "row, "
    "and weight and bias have a number for each c.";
inline constexpr const char* kRunningAverages =
    "Only the last number of each row is right. The averages run over the whole row, so they have "
    "to be known before the first dx: they take a loop of their own.";

// A loop that sums and uses the sums at once: they are whole only at the row's end.
inline Mistake running_averages(int C) {
  return only_right_where([C](const Coordinates& at) { return at[1] == C - 1; }, kRunningAverages);
}

// What one value of a row has to do with in a norm's equations. Averages run over its row.
struct NormTerms {
  double x, xhat, d, g, weight, rstd;          // g is d * weight
  double mean, mean_g, mean_g_xhat, mean_g_x;  // of x, and of the products
  double mean_d, mean_d_xhat;                  // the same without the weight
  int C;
};

// formula(terms) for every value of x [N, C].
inline Values by_formula(const Values& x, const Values& dout, const Values& weight,
                         const test::Statistics& saved, int N, int C,
                         const std::function<double(const NormTerms&)>& formula) {
  Values out(x.size());
  for (int n = 0; n < N; ++n) {
    const auto row = static_cast<std::size_t>(n) * static_cast<std::size_t>(C);
    const auto at = [&](int c) {
      const std::size_t i = row + static_cast<std::size_t>(c), of_row = static_cast<std::size_t>(n);
      const double w = weight[static_cast<std::size_t>(c)];
      return NormTerms{.x = x[i],
                       .xhat = (x[i] - saved.mean[of_row]) * saved.rstd[of_row],
                       .d = dout[i],
                       .g = dout[i] * w,
                       .weight = w,
                       .rstd = saved.rstd[of_row],
                       .mean = saved.mean[of_row],
                       .mean_g = 0,
                       .mean_g_xhat = 0,
                       .mean_g_x = 0,
                       .mean_d = 0,
                       .mean_d_xhat = 0,
                       .C = C};
    };
    NormTerms sums{};
    for (int c = 0; c < C; ++c) {
      const NormTerms t = at(c);
      sums.mean_g += t.g / C, sums.mean_g_xhat += t.g * t.xhat / C;
      sums.mean_d += t.d / C, sums.mean_d_xhat += t.d * t.xhat / C;
      sums.mean_g_x += t.g * t.x / C;
    }
    for (int c = 0; c < C; ++c) {
      NormTerms t = at(c);
      t.mean_g = sums.mean_g, t.mean_g_xhat = sums.mean_g_xhat, t.mean_g_x = sums.mean_g_x;
      t.mean_d = sums.mean_d, t.mean_d_xhat = sums.mean_d_xhat;
      out[row + static_cast<std::size_t>(c)] = formula(t);
    }
  }
  return out;
}

// The sum of every column of [N, C], or of the rows that are wanted.
inline Values column_sums(const Values& values, int N, int C,
                          const std::function<bool(int)>& wanted = nullptr) {
  Values sums(static_cast<std::size_t>(C), 0.0);
  for (int n = 0; n < N; ++n) {
    if (wanted && !wanted(n)) continue;
    for (std::size_t c = 0; c < sums.size(); ++c) {
      sums[c] += values[static_cast<std::size_t>(n) * sums.size() + c];
    }
  }
  return sums;
}

inline Values times(Values values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

// A gradient that each row replaces: what is left is the last row's, and nothing of the start.
inline Mistake each_row_replaces(const Values& values, const Values& start, int N, int C) {
  Values added = column_sums(values, N, C, [N](int n) { return n == N - 1; });
  for (std::size_t c = 0; c < added.size(); ++c) added[c] -= start[c];
  return gives(added,
               "Only the last row arrives: this parameter served every row, so the gradients of "
               "all rows add up (+=), and to what was there before.");
}

// One row for every statistic that may be taken wrongly: var, the mean square, eps.
inline std::vector<Mistake> rstd_mistakes(const Values& x, int N, int C, double eps, bool centred) {
  const auto of = [&](const std::function<double(double var, double mean)>& formula) {
    Values out;
    for (int n = 0; n < N; ++n) {
      double mean = 0, var = 0;
      const double* x_n = x.data() + std::int64_t{n} * C;
      for (int c = 0; c < C; ++c) mean += x_n[c] / C;
      for (int c = 0; c < C; ++c) var += std::pow(x_n[c] - (centred ? mean : 0), 2) / C;
      out.push_back(formula(var, mean));
    }
    return out;
  };
  std::vector<Mistake> all = {
      gives(of([&](double v, double) { return 1 / (std::sqrt(v) + eps); }), kInsideTheRoot),
      gives(of([&](double v, double) { return 1 / std::sqrt(v); }),
            "eps is missing: a row whose values are all alike would divide by 0."),
      gives(of([&](double v, double) { return 1 / (v + eps); }),
            "The root is missing: rstd is 1 over the deviation, and the deviation is the root of "
            "the variance."),
      gives(of([&](double v, double) { return std::sqrt(v + eps); }),
            "This is the deviation; rstd is 1 over it."),
      gives(of([&](double v, double) { return 1 / std::sqrt(v * C + eps); }),
            "The squares are summed, but the sum is not divided by C."),
      gives(of([&](double v, double) { return 1 / std::sqrt(v + eps / C); }),
            "eps is divided by C here. It is added to the average, behind the division."),
      gives(of([&](double, double) { return 1 / std::sqrt(eps); }),
            "The average of the squares is 0. In C++ 1 / C is a division of integers: 0 for every "
            "C above 1. Divide the sum by C."),
      gives(of([&](double v, double m) {
              return 1 / std::sqrt(v + (centred ? m * m : -m * m) + eps);
            }),
            centred ? "These are the squares of x itself: the mean has to be taken off first."
                    : "RMSNorm takes no mean off: the squares of x itself are summed."),
  };
  if (C > 1) {
    all.push_back(gives(of([&](double v, double) { return 1 / std::sqrt(v * C / (C - 1) + eps); }),
                        "You divide the squares by C - 1, as statistics does for a sample. "
                        "LayerNorm divides by C."));
  }
  all.push_back(only_first_row(kSumsGoOn));
  return all;
}

using LayernormForwardFunction = void(float*, float*, float*, const float*, const float*,
                                      const float*, int, int, float);

struct NormCase {
  std::string words;  // on x
  int N, C;
  Values x;
  float eps;
  bool bias = true, large_mean = false;
};

inline std::vector<NormCase> norm_cases() {
  std::vector<NormCase> cases;
  struct Size {
    int N, C;
  };
  // The first shows most mistakes. Then: one value, no row, a warp, one more, a block and one more.
  for (const auto& [N, C] : std::vector<Size>{
           {2, 4}, {3, 7}, {1, 1}, {0, 5}, {9, 32}, {5, 33}, {8, 31}, {17, 3}, {1, 257}}) {
    for (const float eps : {0.5f, 1e-5f}) {
      cases.push_back({fmt::format("eps={:g}", eps), N, C,
                       random_values(std::int64_t{N} * C, 1, 3.0, 2.0), eps});
    }
  }
  cases.push_back({"all values alike", 2, 24, Values(48, 5.0), 1e-5f});
  return cases;
}

inline std::vector<Mistake> mean_mistakes(const NormCase& c, const Values& mean) {
  std::vector<Mistake> all = {
      gives(times(mean, c.C), "The sum is not divided by C."),
      gives(times(mean, 0),
            "In C++ 1 / C is a division of integers: 0 for every C above 1. Divide the sum by C."),
      only_first_row(kSumsGoOn),
      only_right_where([whole = c.N / 8 * 8](const Coordinates& at) { return at[0] < whole; },
                       "Only the rows of full blocks, 8 each, are written: a last block takes what "
                       "remains. ceil_div rounds the number of blocks up.")};
  if (c.C < 2 || c.C > 32) return all;
  Values first;
  for (int n = 0; n < c.N; ++n) first.push_back(c.x[static_cast<std::size_t>(n * c.C)]);
  for (const double share : {1.0, 1.0 / c.C}) {
    all.push_back(gives(times(first, share),
                        "Only the row's first value has arrived. In a kernel that is lane 0's part "
                        "of the sum: warp_sum makes one sum of all 32."));
  }
  return all;
}

inline void examine_layernorm_case(Exam& exam, LayernormForwardFunction* forward,
                                   const NormCase& c) {
  const Values weight = random_values(c.C, 2), given = random_values(c.C, 3);
  const Values bias = c.bias ? given : Values(given.size(), 0.0);
  const test::Exact expected =
      test::layernorm_equation(c.N, c.C, c.eps).forward({c.x, weight, bias});
  const test::Statistics saved = test::row_statistics(c.x, c.N, c.C, c.eps, true);
  const auto answer = [&](const std::function<double(const NormTerms&, double bias)>& formula) {
    std::size_t i = 0;
    return by_formula(c.x, c.x, weight, saved, c.N, c.C,
                      [&](const NormTerms& t) { return formula(t, bias[i++ % bias.size()]); });
  };
  Sandbox& s = exam.call(fmt::format("layernorm_forward(N={}, C={}{}), {}", c.N, c.C,
                                     c.bias ? "" : ", bias=nullptr", c.words));
  const std::int64_t size = std::int64_t{c.N} * c.C;
  float *out = s.output(size), *mean = s.output(c.N), *rstd = s.output(c.N);
  const float *x = s.input(c.x), *w = s.input(weight), *b = c.bias ? s.input(bias) : nullptr;
  forward(out, mean, rstd, x, w, b, c.N, c.C, c.eps);
  double largest = 0;
  for (const double v : c.x) largest = std::max(largest, std::abs(v));
  exam.expect("mean", mean, saved.mean, {{"n", c.N}},
              {.terms = static_cast<double>(c.C), .scale = largest + 1e-30},
              mean_mistakes(c, saved.mean));
  std::vector<Mistake> mistakes = rstd_mistakes(c.x, c.N, c.C, c.eps, true);
  if (c.large_mean) mistakes = {when([](const Answer&) { return true; }, kTwoPasses)};
  exam.expect("rstd", rstd, saved.rstd, {{"n", c.N}},
              {.terms = static_cast<double>(c.C), .factor = 16}, mistakes);
  exam.expect(
      "out", out, expected.value, {{"n", c.N}, {"c", c.C}},
      {.terms = static_cast<double>(c.C), .magnitudes = expected.magnitude},
      {gives(answer([](const NormTerms& t, double) { return t.xhat * t.weight; }),
             "The bias is missing."),
       gives(answer([](const NormTerms& t, double shift) { return t.xhat + shift; }),
             "The weight is missing."),
       gives(answer([](const NormTerms& t, double shift) { return (t.xhat + shift) * t.weight; }),
             "The bias is added last: xhat * weight + bias."),
       gives(
           answer([](const NormTerms& t, double shift) { return t.x * t.rstd * t.weight + shift; }),
           "The mean is not taken off x."),
       only_first_columns(32, kOnlyFirst32)});
}

inline void examine_layernorm_forward(Exam& exam, LayernormForwardFunction* forward) {
  for (const NormCase& c : norm_cases()) examine_layernorm_case(exam, forward, c);
  NormCase bare{"eps=1e-05", 3, 5, random_values(15, 1, 3.0, 2.0), 1e-5f};
  bare.bias = false;
  examine_layernorm_case(exam, forward, bare);
  // As floats, squares of the first have no digit left of the variance. The second's sum and mean
  // are exact even as floats, while its squares are not, even as doubles.
  NormCase large{"a mean of 4096, a deviation of 1", 2, 64, random_values(128, 1, 1.0, 4096.0),
                 1e-5f};
  constexpr double kMost = 16777212;  // 2^24 - 4
  NormCase huge{
      "a mean of 16777212, a deviation of 1.6", 1, 3, {kMost - 2, kMost, kMost + 2}, 1e-5f};
  for (NormCase* c : {&large, &huge}) {
    c->large_mean = true;
    examine_layernorm_case(exam, forward, *c);
  }
}

using LayernormBackwardFunction = void(float*, float*, float*, const float*, const float*,
                                       const float*, const float*, const float*, float*, int, int);

struct NormSize {
  int N, C;
};

// What the wrong terms of dx would give.
inline std::vector<Mistake> layernorm_dx_mistakes(
    const std::function<Values(const std::function<double(const NormTerms&)>&)>& of, int C) {
  using T = const NormTerms&;
  return {
      gives(of([](T t) { return t.rstd * (t.g - t.xhat * t.mean_g_xhat); }),
            "The way through the mean is missing: raising x[c] raises the row's mean, which lowers "
            "every xhat of the row. Take the average of g off."),
      gives(of([](T t) { return t.rstd * (t.g - t.mean_g); }),
            "The way through rstd is missing: raising x[c] changes the row's deviation. Take the "
            "part along xhat off: xhat * average(g * xhat)."),
      gives(of([](T t) { return t.rstd * t.g; }),
            "The mean and rstd are treated as constants. Both depend on every x of the row: two "
            "terms are missing."),
      gives(of([](T t) { return t.g - t.mean_g - t.xhat * t.mean_g_xhat; }),
            "All of it is multiplied by rstd: xhat is x times rstd."),
      gives(of([](T t) { return t.rstd * (t.d - t.mean_d - t.xhat * t.mean_d_xhat); }),
            "The weight is missing: what arrives at xhat is g = dout * weight."),
      gives(of([](T t) { return t.rstd * (t.g - t.C * t.mean_g - t.xhat * t.C * t.mean_g_xhat); }),
            "Both sums have to be divided by C: they are averages over the row."),
      gives(of([](T t) { return t.rstd * (t.g - t.mean_g - t.x * t.mean_g_xhat); }),
            "The last term has x where it needs xhat."),
      gives(of([](T t) { return t.rstd * (t.g - t.mean_g - t.xhat * t.mean_g_x); }),
            "The average in the last term is of g * xhat, not of g * x."),
      gives(of([](T t) { return t.rstd * (t.g - t.mean_g + t.xhat * t.mean_g_xhat); }),
            "The sign of the last term: the part along xhat is taken off."),
      gives(of([](T t) { return t.rstd * (t.g + t.mean_g - t.xhat * t.mean_g_xhat); }),
            "The sign of the second term: the average of g is taken off."),
      gives(of([](T t) { return t.rstd * (t.g - t.mean_d - t.xhat * t.mean_d_xhat); }),
            "The averages are of g = dout * weight; yours are of dout."),
      gives(of([](T t) { return t.rstd * t.weight * (t.g - t.mean_g - t.xhat * t.mean_g_xhat); }),
            "The weight is there twice: g = dout * weight has it already."),
      gives(of([](T t) {
              return t.rstd * (t.g - t.mean_g - t.xhat * t.mean_g_xhat / std::pow(t.rstd, 4));
            }),
            "rstd is 1 over the deviation already: xhat is (x - mean) times rstd."),
      running_averages(C),
      only_first_row(kSumsGoOn),
  };
}

inline std::vector<Mistake> weight_mistakes(
    const std::function<Values(const std::function<double(const NormTerms&)>&)>& sums_of, int N,
    bool centred) {
  using T = const NormTerms&;
  std::vector<Mistake> all = {
      gives(sums_of([](T t) { return t.d * t.x; }),
            "dweight needs what the weight was multiplied by. That is xhat, not x."),
      gives(sums_of([](T t) { return t.g * t.xhat; }),
            "dweight has g where it needs dout: the weight is not part of its own gradient."),
      gives(sums_of([](T t) { return t.d; }), "dweight needs dout times xhat."),
      gives(sums_of([N](T t) { return t.d * t.xhat / N; }),
            "This is the mean over the rows; the sum is asked for."),
  };
  if (centred) {
    all.push_back(gives(sums_of([](T t) { return t.d * (t.x - t.mean); }),
                        "rstd is missing: xhat is (x - mean) * rstd."));
    all.push_back(gives(sums_of([](T t) { return t.d * t.x * t.rstd; }),
                        "The mean is missing: xhat is (x - mean) * rstd."));
  }
  return all;
}

// What a learner's mistakes with the pieces of a two-stage sum would give; for kernels.
using PieceMistakes = std::function<std::vector<Mistake>(const Values& terms, int N, int C)>;

inline void examine_layernorm_backward(Exam& exam, LayernormBackwardFunction* backward,
                                       const std::vector<NormSize>& sizes,
                                       std::int64_t (*scratch_size)(int, int),
                                       const PieceMistakes& pieces = nullptr) {
  for (const auto& [N, C] : sizes) {
    for (const bool with_bias : {true, false}) {
      const double eps = with_bias ? 0.5 : 1e-5;
      const Values x = random_values(std::int64_t{N} * C, 1, 3.0, 2.0), w = random_values(C, 2),
                   dout = random_values(std::int64_t{N} * C, 4), bias(w.size(), 0.0);
      const auto exact = test::layernorm_equation(N, C, eps).backward({x, w, bias}, dout);
      const test::Statistics saved = test::row_statistics(x, N, C, eps, true);
      const auto of = [&, N = N, C = C](const std::function<double(const NormTerms&)>& formula) {
        return by_formula(x, dout, w, saved, N, C, formula);
      };
      const auto sums_of = [&, N = N, C = C](const std::function<double(const NormTerms&)>& f) {
        return column_sums(of(f), N, C);
      };
      Sandbox& s = exam.call(fmt::format("layernorm_backward(N={}, C={}{})", N, C,
                                         with_bias ? "" : ", dbias=nullptr"));
      float *dx = s.accumulator(std::int64_t{N} * C, 5), *dweight = s.accumulator(C, 6);
      float* dbias = with_bias ? s.accumulator(C, 7) : nullptr;
      const float *dout_ = s.input(dout), *x_ = s.input(x), *w_ = s.input(w);
      const float *mean = s.input(saved.mean), *rstd = s.input(saved.rstd);
      const Values start = s.values(dweight), bias_start = with_bias ? s.values(dbias) : start;
      backward(dx, dweight, dbias, dout_, x_, w_, mean, rstd, s.scratch(scratch_size(N, C)), N, C);
      const auto within = [](const test::Exact& e, int terms) {
        return Tolerance{.terms = static_cast<double>(terms), .magnitudes = e.magnitude};
      };
      exam.expect_added("dx", dx, exact[0].value, {{"n", N}, {"c", C}}, within(exact[0], C),
                        layernorm_dx_mistakes(of, C));
      const Values terms = of([](const NormTerms& t) { return t.d * t.xhat; });
      std::vector<Mistake> mistakes = weight_mistakes(sums_of, N, true);
      mistakes.push_back(each_row_replaces(terms, start, N, C));
      if (pieces) mistakes = pieces(terms, N, C);
      exam.expect_added("dweight", dweight, exact[1].value, {{"c", C}}, within(exact[1], N),
                        mistakes);
      if (!with_bias) continue;
      mistakes = {each_row_replaces(dout, bias_start, N, C),
                  gives(sums_of([](const NormTerms& t) { return t.g; }),
                        "dbias has g where it needs dout: the bias is added behind the weight."),
                  gives(times(exact[2].value, 1.0 / std::max(N, 1)),
                        "This is the mean over the rows; the sum is asked for.")};
      if (pieces) mistakes = pieces(dout, N, C);
      exam.expect_added("dbias", dbias, exact[2].value, {{"c", C}}, within(exact[2], N), mistakes);
    }
  }
}

}  // namespace tinygpt::lessons
