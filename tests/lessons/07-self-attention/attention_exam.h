// How attention is examined, on the CPU or as kernels: its matrices in double precision, right and
// as each mistake makes them.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

struct Grid {
  int rows, columns;
  Values values;

  Grid(int r, int c)
      : rows(r), columns(c), values(static_cast<std::size_t>(r) * static_cast<std::size_t>(c)) {}
  Grid(int r, int c, Values v) : rows(r), columns(c), values(std::move(v)) {}

  std::size_t index(int r, int c) const {
    return static_cast<std::size_t>(r) * static_cast<std::size_t>(columns) +
           static_cast<std::size_t>(c);
  }
  double& operator()(int r, int c) { return values[index(r, c)]; }
  double operator()(int r, int c) const { return values[index(r, c)]; }
};

inline Grid random_grid(int rows, int columns, std::uint64_t seed, double scale = 1) {
  return {rows, columns, random_values(std::int64_t{rows} * columns, seed, scale)};
}

// of(r, c) for each place.
template <class Of>
Grid grid(int rows, int columns, Of&& of) {
  Grid out(rows, columns);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) out(r, c) = of(r, c);
  }
  return out;
}

inline Grid flipped(const Grid& a) {
  return grid(a.columns, a.rows, [&](int r, int c) { return a(c, r); });
}
inline Grid times(double factor, const Grid& a) {
  return grid(a.rows, a.columns, [&](int r, int c) { return factor * a(r, c); });
}
inline Grid size_of(const Grid& a) {
  return grid(a.rows, a.columns, [&](int r, int c) { return std::abs(a(r, c)); });
}
inline Grid times(const Grid& a, const Grid& b) {
  return grid(a.rows, b.columns, [&](int r, int c) {
    double sum = 0;
    for (int i = 0; i < a.columns; ++i) sum += a(r, i) * b(i, c);
    return sum;
  });
}

inline double scale_for(int HS) { return 1 / std::sqrt(static_cast<double>(HS)); }

// Each row's exponentials over their sum. Keys that visible(t, u) denies get 0.
template <class Visible>
Grid row_softmax(const Grid& scores, Visible&& visible) {
  Grid p(scores.rows, scores.columns);
  for (int t = 0; t < p.rows; ++t) {
    double largest = -INFINITY, sum = 0;
    for (int u = 0; u < p.columns; ++u) {
      if (visible(t, u)) largest = std::max(largest, scores(t, u));
    }
    for (int u = 0; u < p.columns; ++u) {
      if (visible(t, u)) sum += p(t, u) = std::exp(scores(t, u) - largest);
    }
    for (int u = 0; u < p.columns; ++u) {
      if (visible(t, u)) p(t, u) /= sum;
    }
  }
  return p;
}
inline Grid row_softmax(const Grid& scores) {
  return row_softmax(scores, [](int, int) { return true; });
}

// Values that are not finite where finite ones are expected.
inline bool overflowed(const Answer& answer) {
  for (std::size_t i = 0; i < answer.actual.size(); ++i) {
    if (!std::isfinite(answer.actual[i]) && std::isfinite(answer.expected[i])) return true;
  }
  return false;
}

// All of the first `written` values are finite, and all others are as they were before the call.
inline bool ends_after(const Answer& answer, std::size_t written) {
  for (std::size_t i = 0; i < answer.actual.size(); ++i) {
    if (std::isnan(answer.actual[i]) != (i >= written)) return false;
  }
  return written < answer.actual.size();
}

// Of a square matrix: what lies right of the diagonal is as it was before the call, nothing else
// is.
inline bool ends_at_diagonal(const Answer& answer) {
  const std::size_t T = static_cast<std::size_t>(answer.shape[0].size);
  for (std::size_t i = 0; i < answer.actual.size(); ++i) {
    if (std::isnan(answer.actual[i]) != (i % T > i / T)) return false;
  }
  return T > 1;
}

inline Shape square(int T) { return {{"t", T}, {"u", T}}; }

// What scores look like with each mistake; also where attention_forward shows them.
inline std::vector<Mistake> score_mistakes(const Grid& q, const Grid& k) {
  const int T = q.rows, HS = q.columns;
  const Grid products = times(q, flipped(k));
  const auto by = [&](double factor) { return times(factor, products).values; };
  const Grid scores = times(scale_for(HS), products);
  // Each pair once, t <= u or u <= t, and the other half is a copy.
  const auto copied = [&](bool upper) {
    return grid(T, T, [&](int t, int u) { return (t < u) == upper ? scores(t, u) : scores(u, t); });
  };
  const Grid q_length = times(q, flipped(q)), k_length = times(k, flipped(k));
  const Grid cosines = grid(T, T, [&](int t, int u) {
    return products(t, u) / std::sqrt(q_length(t, t) * k_length(u, u));
  });
  const char* const both_ways =
      "One half of the matrix is a copy of the other. Scores are not symmetric: q[t] . k[u] is t "
      "asking u, and q[u] . k[t] is u asking t.";
  return {
      gives(by(1),
            "These are the bare products q[t] . k[u]. Divide them by sqrt(HS): the more numbers a "
            "head has, the larger its products are, and the softmax would saturate."),
      gives(flipped(times(scale_for(HS), products)).values,
            "q and k are swapped: this is q[u] . k[t]. The query of row t is compared with the key "
            "of column u: t asks, u answers."),
      gives(by(1.0 / HS), "You divide by HS; the square root of HS is asked for."),
      gives(by(1 / scale_for(HS)), "You multiply by sqrt(HS) where you should divide."),
      gives(by(scale_for(T)),
            "You divide by sqrt(T). What makes products large is the number of terms in each, HS."),
      gives(by(1 / std::floor(std::sqrt(static_cast<double>(HS)))),
            "The root is rounded down to a whole number: sqrt(HS) must stay a float."),
      gives(cosines.values,
            "These are cosines: each product is divided by the lengths of its two vectors. A long "
            "query is a decided one, and may be: divide by sqrt(HS) alone."),
      when(ends_at_diagonal,
           "Each query is compared with keys before it and its own only. That is a causal mask, "
           "which comes in lesson 08: here every query may look at every key."),
      gives(copied(true).values, both_ways),
      gives(copied(false).values, both_ways),
      gives(times(scale_for(HS), times(q, flipped(q))).values,
            "Every query is compared with queries, q[t] . q[u]. Where is k?"),
  };
}

// The scores if only some of the terms of each sum were added up.
template <class Keep>
Values partial_scores(const Grid& q, const Grid& k, Keep&& keep) {
  return grid(q.rows, q.rows,
              [&](int t, int u) {
                double sum = 0;
                for (int d = 0; d < q.columns; ++d) sum += keep(d) ? q(t, d) * k(u, d) : 0;
                return scale_for(q.columns) * sum;
              })
      .values;
}

// What a warp that shares one sum may leave out of it.
inline std::vector<Mistake> warp_mistakes(const Grid& q, const Grid& k) {
  const int HS = q.columns;
  return {
      when([](const Answer& a) { return a.actual.size() > 8 && ends_after(a, 8); },
           "Only the first 8 scores are written, as many as one block has warps. There are T * T "
           "scores, and each needs a warp: blocks_for_warps says how many blocks hold them."),
      when([T = static_cast<std::size_t>(q.rows)](
               const Answer& a) { return ends_after(a, (T + 7) / 8 * 8); },
           "There are warps for T scores, a row of the matrix. Each of the T * T needs one."),
      gives(partial_scores(q, k, [](int d) { return d < 32; }),
            "Only the first 32 terms of each sum are there. A warp has 32 lanes, and HS may be "
            "larger: lane i takes d = i, i + 32, i + 64, ..."),
      gives(partial_scores(q, k, [HS](int d) { return d < HS / 32 * 32; }),
            "Some terms of each sum belong to no lane: HS / 32 is rounded down, to 0 where HS is "
            "less than 32. Lane i takes d = i, i + 32, ... as long as d < HS."),
      gives(partial_scores(q, k, [](int d) { return d % 32 == 0; }),
            "Only the terms of lane 0 are there, d = 0, 32, ... The other lanes have theirs in "
            "registers of their own: warp_sum adds them up."),
  };
}

using ScoresFunction = void(float*, const float*, const float*, int, int);

inline void examine_scores(Exam& exam, ScoresFunction* attention_scores,
                           const std::vector<std::pair<int, int>>& sizes, bool by_warps = false) {
  for (const auto& [T, HS] : sizes) {
    for (const double scale : {1.0, 100.0}) {
      const Grid q = random_grid(T, HS, 1, scale), k = random_grid(T, HS, 2);
      const Grid expected = times(scale_for(HS), times(q, flipped(k)));
      const Grid size = times(scale_for(HS), times(size_of(q), flipped(size_of(k))));
      Sandbox& s = exam.call(fmt::format("attention_scores(T={}, HS={}), queries of size {}", T, HS,
                                         static_cast<int>(scale)));
      float* scores = s.output(std::int64_t{T} * T);
      const float *q_ = s.input(q.values), *k_ = s.input(k.values);
      attention_scores(scores, q_, k_, T, HS);
      std::vector<Mistake> mistakes = score_mistakes(q, k);
      const std::vector<Mistake> more = by_warps ? warp_mistakes(q, k) : std::vector<Mistake>{};
      mistakes.insert(mistakes.end(), more.begin(), more.end());
      exam.expect("scores", scores, expected.values, square(T),
                  {.terms = static_cast<double>(HS), .magnitudes = size.values}, mistakes);
    }
  }
}

using WeightedSumFunction = void(float*, const float*, const float*, int, int);

// Sums that start, stop or read where they should not.
inline std::vector<Mistake> sum_mistakes(const Grid& weights, const Grid& x) {
  const int T = x.rows, C = x.columns;
  const Grid right = times(weights, x);
  // The sum is set back to 0 for each row of out, or never.
  const auto running = [&](bool by_row) {
    double sum = 0;
    return grid(T, C,
                [&](int t, int c) { return sum = (by_row && c == 0 ? 0 : sum) + right(t, c); })
        .values;
  };
  const Grid shares = grid(T, C, [&](int t, int c) {
    double total = 0;
    for (int u = 0; u < T; ++u) total += weights(t, u);
    return right(t, c) / total;
  });
  const Grid narrow = grid(T, T, [&](int t, int u) {
    const std::int64_t at = std::int64_t{t} * C + u;
    return at < std::int64_t{T} * T ? weights.values[static_cast<std::size_t>(at)] : NAN;
  });
  const Grid last_tile =
      grid(T, T, [&](int t, int u) { return u < (T - 1) / 64 * 64 ? 0 : weights(t, u); });
  const char* const never_reset =
      "The sum goes on from one value of out to the next: it must begin at 0 for each t and c.";
  return {
      gives(shares.values,
            "You divide by the sum of the weights. They may be any numbers, and are taken as they "
            "are: what makes a row of them sum to 1 is the softmax, later."),
      gives(running(true), never_reset),
      gives(running(false), never_reset),
      gives(times(narrow, x).values,
            "weights is read as if its rows had C numbers. They have T: weights[t, u] lies at "
            "t * T + u."),
      gives(times(last_tile, x).values,
            "Only the last 64 weights of a row count: the sum must begin before the loop over the "
            "tiles, and what it is in the end is written behind that loop."),
  };
}

inline void examine_weighted_sum(Exam& exam, WeightedSumFunction* weighted_sum,
                                 const std::vector<std::pair<int, int>>& sizes,
                                 const std::vector<Mistake>& more = {}) {
  for (const auto& [T, C] : sizes) {
    const Grid weights = random_grid(T, T, 3), x = random_grid(T, C, 4);
    const Grid expected = times(weights, x), size = times(size_of(weights), size_of(x));
    Sandbox& s = exam.call(fmt::format("weighted_sum(T={}, C={})", T, C));
    float* out = s.output(std::int64_t{T} * C);
    const float *weights_ = s.input(weights.values), *x_ = s.input(x.values);
    weighted_sum(out, weights_, x_, T, C);
    const Grid own = grid(T, C, [&, T = T](int t, int c) {
      double sum = 0;
      for (int u = 0; u < T; ++u) sum += weights(t, u);
      return sum * x(t, c);
    });
    std::vector<Mistake> mistakes = {
        gives(times(flipped(weights), x).values,
              "The weights are transposed: weights[t, u] is how much of row u goes into row t, and "
              "not how much of row t goes into row u."),
        gives(own.values,
              "Each row only gets itself, x[t], times its weights. Row t is a mix of the others: "
              "weights[t, u] goes with x[u]."),
        gives(times(1.0 / std::max(T, 1), expected).values,
              "You divide by T as well. The weights say already how much of each row is wanted; no "
              "mean is taken.")};
    for (const std::vector<Mistake>& others : {sum_mistakes(weights, x), more}) {
      mistakes.insert(mistakes.end(), others.begin(), others.end());
    }
    exam.expect("out", out, expected.values, {{"t", T}, {"c", C}},
                {.terms = static_cast<double>(T), .magnitudes = size.values}, mistakes);
  }
}

}  // namespace tinygpt::lessons
