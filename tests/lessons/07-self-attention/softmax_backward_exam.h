// What the gradient by the scores, ds, looks like with each mistake on the way from dp.
#pragma once

#include <vector>

#include "tests/lessons/07-self-attention/attention_exam.h"

namespace tinygpt::lessons {

inline std::vector<Mistake> ds_mistakes(const Grid& p, const Grid& dp, double scale) {
  const int T = p.rows;
  // of(t, u, mean of dp over row t by p, the same over column u)
  const auto as = [&](const auto& of) {
    return grid(T, T,
                [&](int t, int u) {
                  double row = 0, column = 0;
                  for (int w = 0; w < T; ++w)
                    row += p(t, w) * dp(t, w), column += p(w, u) * dp(w, u);
                  return of(t, u, row, column);
                })
        .values;
  };
  const Grid plain = grid(T, 1, [&](int t, int) {
    double sum = 0;
    for (int w = 0; w < T; ++w) sum += dp(t, w);
    return sum;
  });
  return {
      gives(as([&](int t, int u, double, double) { return p(t, u) * dp(t, u); }),
            "The row-sum term is missing. Raising one score lowers all other probabilities of its "
            "row: ds[t, u] = p[t, u] * (dp[t, u] - sum_w p[t, w] * dp[t, w])."),
      gives(as([&](int t, int u, double row, double) { return dp(t, u) - row; }),
            "The factor p[t, u] in front of the bracket is missing: a key with a probability of 0 "
            "cannot be moved by its score."),
      gives(dp.values, "ds is dp: the gradient has not gone through the softmax yet."),
      gives(as([&](int t, int u, double, double col) { return p(t, u) * (dp(t, u) - col); }),
            "The sum runs down a column. The softmax ran over the keys of one query, row t, and so "
            "does the sum that is taken off."),
      gives(as([&](int t, int u, double, double) { return p(t, u) * (dp(t, u) - plain(t, 0)); }),
            "The sum that is taken off lacks its weights: sum_w p[t, w] * dp[t, w], not the plain "
            "sum of dp."),
      gives(as([&](int t, int u, double row, double) { return p(t, u) * (dp(t, u) + row); }),
            "The row-sum term is taken off, not added."),
      gives(
          as([&](int t, int u, double row, double) { return scale * p(t, u) * (dp(t, u) - row); }),
          "ds is the gradient by the scores, which are scaled already. The factor 1 / sqrt(HS) "
          "comes in where you go on to q and k, and only there."),
      when(overflowed,
           "NaN or infinity: p is given, with the maximum taken off already. Do not make it again "
           "from q and k without that."),
  };
}

// Loops that begin, end or stop too early on the way from dp to ds.
inline std::vector<Mistake> ds_loop_mistakes(const Grid& p, const Grid& dp) {
  const int T = p.rows;
  // The mean as it stands at u, where it is used before the row is through; and where it is never
  // set back to 0.
  double of_row = 0, of_all = 0;
  const Grid too_early = grid(T, T, [&](int t, int u) {
    of_row = (u == 0 ? 0 : of_row) + p(t, u) * dp(t, u);
    return p(t, u) * (dp(t, u) - of_row);
  });
  const Grid never_reset = grid(T, T, [&](int t, int u) {
    for (int w = 0; u == 0 && w < T; ++w) of_all += p(t, w) * dp(t, w);
    return p(t, u) * (dp(t, u) - of_all);
  });
  const Grid plain_mean = grid(T, T, [&](int t, int u) {
    double mean = 0;
    for (int w = 0; w < T; ++w) mean += dp(t, w) / T;
    return p(t, u) * (dp(t, u) - mean);
  });
  const Grid diagonal =
      grid(T, T, [&](int t, int u) { return p(t, u) * (1 - p(t, u)) * dp(t, u); });
  return {
      gives(
          never_reset.values,
          "The sum that is taken off goes on from row to row: it must begin at 0 for each query."),
      gives(too_early.values,
            "The sum that is taken off is not complete when it is used: it needs all keys of the "
            "row. First one loop over u for the sum, then another one for ds."),
      gives(plain_mean.values,
            "The mean that is taken off must be weighted with p: sum_w p[t, w] * dp[t, w]. This is "
            "the plain mean of the row of dp."),
      gives(diagonal.values,
            "Only p[t, u] itself is differentiated by scores[t, u]: p * (1 - p). But that score "
            "moves all other probabilities of its row, too, and their dp count as well."),
  };
}

}  // namespace tinygpt::lessons
