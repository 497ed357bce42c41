// Attention by somebody who has made one mistake: written out in double precision, so that a
// learner's numbers can be recognised by it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

using test::AttentionSize;

enum class Mask { right, none, strict, one_more, reversed, always };
enum class Heads { right, interleaved, modulo, own, keys_as_values, pairs, first };
enum class Term {
  right,
  not_normalised,  // forward: exp alone
  head_major,      // forward: out as [B, NH, T, HS]
  first_sequence,  // every sequence reads sequence 0
  no_scale_dq,     // backward, all below
  no_scale_dk,

  no_delta,
  no_p,             // ds = dp - delta
  delta_without_p,  // delta = sum_u dp[t, u]
  dv_of_ds,
  dv_without_p,
  dp_of_keys,  // dp = dout . k
  dp_of_out,   // dp = dout . out, which is delta
  dk_of_keys,
  p_unscaled,        // exp(q . k - lse)
  p_without_lse,     // exp(s)
  sum_not_rescaled,  // forward in one pass, by an online softmax
  acc_not_rescaled,
  dk_of_first_head,    // of the heads of a group, one only adds to dk and dv
  dk_of_last_head,     // the heads of a group overwrite each other's dk and dv
  signs,               // ds = p * (delta - dp)
  nothing_rescaled,    // forward: neither sum nor acc
  delta_of_all_heads,  // backward: dout . out over the whole row
  delta_so_far,        // summed up in the loop that uses it
  mean_of_group,       // dk and dv divided by the heads that share them
  sums_so_far,         // dk and dv, never cleared, added behind each head of the group
};

struct Slip {
  double scale_power = 0.5;  // scores are multiplied by HS to the minus this
  Mask mask = Mask::right;
  Heads heads = Heads::right;
  Term term = Term::right;
};

struct Attended {
  Values out, lse;
};

class Attention {
 public:
  Attention(const AttentionSize& size, const Slip& slip, const Values& qkv)
      : s_(size), slip_(slip), qkv_(qkv), scale_(std::pow(size.HS, -slip.scale_power)) {}

  Attended forward() const;
  // What a backward pass with the slip adds; its out and lse come from a forward pass without.
  Values backward(const Attended& saved, const Values& dout) const;

  bool sees(int t, int u) const {
    switch (slip_.mask) {
      case Mask::none:
        return true;
      case Mask::always:
        return u <= t;
      case Mask::strict:
        return !s_.causal || u < t;
      case Mask::one_more:
        return !s_.causal || u <= t + 1;
      case Mask::reversed:
        return !s_.causal || u >= t;
      default:
        return !s_.causal || u <= t;
    }
  }

 private:
  // Where number d of the query, key or value (0, 1, 2) of head h lies in a row.
  std::int64_t column(int which, int h, int d) const;
  std::int64_t out_at(int b, int t, int h, int d) const {
    if (slip_.term == Term::head_major) {
      return ((std::int64_t{b} * s_.NH + h) * s_.T + t) * s_.HS + d;
    }
    const std::int64_t row = (std::int64_t{b} * s_.T + t) * s_.NH * s_.HS;
    return slip_.heads == Heads::interleaved ? row + d * s_.NH + h : row + h * s_.HS + d;
  }
  std::int64_t at(int b, int t, int which, int h, int d) const {
    const int sequence = slip_.term == Term::first_sequence ? 0 : b;
    return (std::int64_t{sequence} * s_.T + t) * (s_.NH + 2 * s_.NKV) * s_.HS + column(which, h, d);
  }
  double value(int b, int t, int which, int h, int d) const {
    const auto i = static_cast<std::size_t>(at(b, t, which, h, d));
    return i < qkv_.size() ? qkv_[i] : std::numeric_limits<double>::quiet_NaN();
  }
  double product(int b, int h, int t, int u) const {  // q[t] . k[u]
    double sum = 0;
    for (int d = 0; d < s_.HS; ++d) sum += value(b, t, 0, h, d) * value(b, u, 1, h, d);
    return sum;
  }
  void backward_query(Values& d, int b, int h, int t, const Attended& saved,
                      const Values& dout) const;

  AttentionSize s_;
  Slip slip_;
  const Values& qkv_;
  double scale_;
};

inline std::int64_t Attention::column(int which, int h, int d) const {
  if (which == 0) return slip_.heads == Heads::interleaved ? d * s_.NH + h : h * s_.HS + d;
  const int shared = s_.NH / s_.NKV;
  int group = h / shared;
  if (slip_.heads == Heads::modulo) group = h % s_.NKV;
  if (slip_.heads == Heads::own) group = h;
  if (slip_.heads == Heads::first) group = 0;
  const bool values = which == 2 && slip_.heads != Heads::keys_as_values;
  if (slip_.heads == Heads::pairs) return (s_.NH + 2 * group + (values ? 1 : 0)) * s_.HS + d;
  const int begin = s_.NH + (values ? s_.NKV : 0);
  if (slip_.heads == Heads::interleaved) return begin * s_.HS + d * s_.NKV + group;
  return (begin + group) * s_.HS + d;
}

inline Attended Attention::forward() const {
  Attended a{Values(static_cast<std::size_t>(s_.out())),
             Values(static_cast<std::size_t>(s_.lse()))};
  for (int b = 0; b < s_.B; ++b) {
    for (int h = 0; h < s_.NH; ++h) {
      for (int t = 0; t < s_.T; ++t) {
        Values p(static_cast<std::size_t>(s_.T), -std::numeric_limits<double>::infinity());
        for (int u = 0; u < s_.T; ++u) {
          if (sees(t, u)) p[static_cast<std::size_t>(u)] = scale_ * product(b, h, t, u);
        }
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        Values weights(p.size());  // of acc, which need not be those of the sum
        for (std::size_t u = 0; u < p.size(); ++u) {
          const double before = largest;
          largest = std::max(largest, p[u]);
          const double shrink = before == largest ? 1 : std::exp(before - largest);
          const bool nothing = slip_.term == Term::nothing_rescaled;
          const bool keeps_sum = nothing || slip_.term == Term::sum_not_rescaled;
          const bool keeps_acc = nothing || slip_.term == Term::acc_not_rescaled;
          sum = sum * (keeps_sum ? 1 : shrink) + std::exp(p[u] - largest);
          for (double& weight : weights) weight *= keeps_acc ? 1 : shrink;
          weights[u] = std::exp(p[u] - largest);
        }
        a.lse[static_cast<std::size_t>((std::int64_t{b} * s_.NH + h) * s_.T + t)] =
            largest + std::log(sum);
        for (int u = 0; u < s_.T; ++u) {
          for (int d = 0; d < s_.HS; ++d) {
            a.out[static_cast<std::size_t>(out_at(b, t, h, d))] +=
                weights[static_cast<std::size_t>(u)] /
                (slip_.term == Term::not_normalised ? 1 : sum) * value(b, u, 2, h, d);
          }
        }
      }
    }
  }
  return a;
}

inline void Attention::backward_query(Values& d, int b, int h, int t, const Attended& saved,
                                      const Values& dout) const {
  const Term term = slip_.term;
  const auto dout_at = [&](int i) { return dout[static_cast<std::size_t>(out_at(b, t, h, i))]; };
  const double lse = saved.lse[static_cast<std::size_t>((std::int64_t{b} * s_.NH + h) * s_.T + t)];
  Values p(static_cast<std::size_t>(s_.T)), dp(p);
  double delta = 0, sum_dp = 0;
  const int first = term == Term::delta_of_all_heads ? -h * s_.HS : 0;
  const int end = term == Term::delta_of_all_heads ? (s_.NH - h) * s_.HS : s_.HS;
  for (int c = first; c < end; ++c) {
    delta += dout_at(c) * saved.out[static_cast<std::size_t>(out_at(b, t, h, c))];
  }
  for (int u = 0; u < s_.T; ++u) {
    const auto i = static_cast<std::size_t>(u);
    const double factor = term == Term::p_unscaled ? 1 : scale_;
    p[i] = std::exp(factor * product(b, h, t, u) - (term == Term::p_without_lse ? 0 : lse));
    for (int c = 0; c < s_.HS; ++c) {
      dp[i] += dout_at(c) * value(b, u, term == Term::dp_of_keys ? 1 : 2, h, c);
    }
    if (sees(t, u)) sum_dp += dp[i];
  }
  if (term == Term::no_delta || term == Term::delta_so_far) delta = 0;
  if (term == Term::delta_without_p) delta = sum_dp;
  for (int u = 0; u < s_.T; ++u) {
    if (!sees(t, u)) continue;
    const auto i = static_cast<std::size_t>(u);
    if (term == Term::delta_so_far) delta += p[i] * dp[i];
    const double dp_u = term == Term::dp_of_out ? delta : dp[i];
    double ds = (term == Term::no_p ? 1 : p[i]) * (dp_u - delta);
    if (term == Term::signs) ds = -ds;
    const double for_q = term == Term::no_scale_dq ? 1 : scale_;
    const double for_k = term == Term::no_scale_dk ? 1 : scale_;
    const double for_v = term == Term::dv_of_ds ? ds : term == Term::dv_without_p ? 1 : p[i];
    const int shared = s_.NH / s_.NKV;
    const bool lost = (term == Term::dk_of_last_head && h % shared != shared - 1) ||
                      (term == Term::dk_of_first_head && h % shared != 0);
    const int times = term == Term::sums_so_far ? shared - h % shared : 1;
    const double share = term == Term::mean_of_group ? 1.0 / shared : times;
    for (int c = 0; c < s_.HS; ++c) {
      double nowhere = 0;
      const auto to = [&](int row, int which) -> double& {
        const auto place = static_cast<std::size_t>(at(b, row, which, h, c));
        return place < d.size() ? d[place] : nowhere;
      };
      to(t, 0) += ds * for_q * value(b, u, 1, h, c);
      if (lost) continue;
      to(u, 1) +=
          share * ds * for_k *
          value(b, term == Term::dk_of_keys ? u : t, term == Term::dk_of_keys ? 1 : 0, h, c);
      to(u, 2) += share * for_v * dout_at(c);
    }
  }
}

inline Values Attention::backward(const Attended& saved, const Values& dout) const {
  Values d(qkv_.size());
  for (int b = 0; b < s_.B; ++b) {
    for (int h = 0; h < s_.NH; ++h) {
      for (int t = 0; t < s_.T; ++t) backward_query(d, b, h, t, saved, dout);
    }
  }
  return d;
}

}  // namespace tinygpt::lessons
