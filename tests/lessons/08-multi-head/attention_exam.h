// How attention over several heads is examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/lessons/08-multi-head/not_finite.h"
#include "tests/lessons/08-multi-head/slips.h"
#include "tests/lessons/grading/exam.h"
#include "tests/lessons/grading/parts.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {

using test::Exact;

// Which positions of the answers a mistake is recognised by: where it leaves nothing to see, any
// number may stand.
enum class Rows { all, but_first, but_last };

// Recognised where the answer is that of the slip, and not by chance the right one, too. Computed
// only when something is wrong.
inline Mistake slipped(std::function<Values()> compute, std::string nudge, Rows rows = Rows::all) {
  return when(
      [compute = std::move(compute), rows](const Answer& a) {
        const Values wrong = compute();
        std::int64_t inner = 1, T = 1;  // positions: the axis t
        for (std::size_t axis = a.shape.size(); axis-- > 0 && a.shape[axis].name != "t";) {
          inner *= a.shape[axis].size;
        }
        for (const test::Axis& axis : a.shape) T = axis.name == "t" ? axis.size : T;
        bool differs = false;
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          const std::int64_t t = static_cast<std::int64_t>(i) / inner % T;
          if (rows == Rows::but_first && t == 0) continue;
          if (rows == Rows::but_last && t == T - 1) continue;
          if (std::isnan(wrong[i])) continue;
          if (!(std::abs(a.actual[i] - wrong[i]) <= 4 * a.allowed[i])) return false;
          differs |= std::abs(wrong[i] - a.expected[i]) > 8 * a.allowed[i];
        }
        return differs;
      },
      std::move(nudge));
}

struct Case {
  AttentionSize size;
  double scale = 1.0;      // of the random numbers
  bool repeating = false;  // every token comes twice in a row
};

inline Values tokens_of(const Case& c, std::uint64_t seed) {
  Values qkv = random_values(c.size.qkv(), seed, c.scale);
  const auto row = static_cast<std::size_t>((c.size.NH + 2 * c.size.NKV) * c.size.HS);
  for (std::size_t i = 0; c.repeating && i < qkv.size(); ++i) {
    if (i / row % 2 == 1) qkv[i] = qkv[i - row];
  }
  return qkv;
}

inline std::string described(const std::string& name, const Case& c) {
  const auto& [B, T, NH, NKV, HS, causal] = c.size;
  return fmt::format("{}(B={}, T={}, NH={}, NKV={}, HS={}, causal={}){}{}", name, B, T, NH, NKV, HS,
                     causal, c.scale > 1 ? fmt::format(", numbers around {:g}", c.scale) : "",
                     c.repeating ? ", each token twice" : "");
}

inline Tolerance within(const AttentionSize& s, const Exact& exact) {
  return {.terms = static_cast<double>(s.T) + s.HS, .factor = 4, .magnitudes = exact.magnitude};
}

// Words for slips that forward and backward share.
struct Known {
  Slip slip;
  std::string nudge;
  Rows rows = Rows::all;
};
inline std::vector<Known> common_slips(const AttentionSize& size) {
  const std::string sees = size.causal ? "" : "causal is false here: every query sees every key. ";
  return {
      {{.mask = Mask::none},
       "The mask is missing: with causal, query t must not see the keys behind it, only 0 .. t."},
      {{.mask = Mask::always}, sees + "Yours hides the future all the same."},
      {{.mask = Mask::strict},
       "All positions but the first are those of a mask that is off by one: query t sees itself, "
       "too, so its keys are 0 .. t, which are t + 1.",
       Rows::but_first},
      {{.mask = Mask::one_more},
       "All positions but the last are those of a mask that is off by one: query t sees key t + 1 "
       "here, the very token that it is to predict.",
       Rows::but_last},
      {{.mask = Mask::reversed},
       "The mask is the wrong way round: a query sees what came before it and itself, keys 0 .. "
       "t."},
      {{.heads = Heads::interleaved},
       "The heads are interleaved: you read number d of head h at d * NH + h. The numbers of one "
       "head lie side by side: h * HS + d."},
      {{.heads = Heads::modulo},
       "The group index: head h uses key-value head h / (NH / NKV), since neighbours share one; "
       "yours is h % NKV."},
      {{.heads = Heads::first}, "Every head uses key-value head 0. Head h uses h / (NH / NKV)."},
      {{.heads = Heads::own},
       "Head h uses key and value h here; there are NKV of them only, and head h uses "
       "h / (NH / NKV)."},
      {{.heads = Heads::keys_as_values},
       "The keys are used as values: the values begin behind the keys, at (NH + NKV) * HS."},
      {{.heads = Heads::pairs},
       "You read the row as if each key had its value behind it. All NKV keys come first, then all "
       "NKV values."},
      {{.term = Term::first_sequence},
       "Every sequence reads sequence 0: sequence b begins b * T rows further on."},
  };
}

inline constexpr const char* kFirstOfHead =
    "Only number 0 of each head is right. Does one lane alone write? All lanes do, each its own: "
    "d = lane, lane + 32, ...";
inline constexpr const char* kFirst32OfHead =
    "Only the first 32 numbers of each head are right. Where HS is larger, a lane has several: "
    "d = lane, lane + 32, ...";

inline void expect_forward(Exam& exam, const Case& c, const Values& qkv, const float* out,
                           const float* lse) {
  const AttentionSize& size = c.size;
  const Exact exact = test::attention_equation(size).forward({qkv});
  const Exact exact_lse = test::attention_lse(size, qkv);
  std::vector<Known> known = common_slips(size);
  known.push_back(
      {{.scale_power = 0}, "The scores are not scaled: each is divided by the square root of HS."});
  known.push_back(
      {{.scale_power = 1}, "The scores are divided by HS; its square root is asked for."});
  known.push_back(
      {{.term = Term::not_normalised}, "The weights are exp(s), not yet divided by their sum."});
  for (const auto& [term, what] : {std::pair{Term::sum_not_rescaled, "The sum"},
                                   std::pair{Term::acc_not_rescaled, "What acc holds"}}) {
    known.push_back({{.term = term},
                     fmt::format("{} must shrink whenever a larger score turns up: times "
                                 "exp(before - largest), as if that one had been known from the "
                                 "start.",
                                 what)});
  }
  known.push_back({{.term = Term::head_major},
                   "The numbers are right, but laid out as [B, NH, T, HS]. A row of out holds one "
                   "token's heads side by side: [B, T, NH * HS]."});
  known.push_back(
      {{.term = Term::nothing_rescaled},
       "Neither the sum nor acc shrinks when a larger score turns up. The factor is "
       "exp(before - largest): remember `before` while it still differs from largest."});
  std::vector<Mistake> of_out;
  if (c.scale > 1) of_out = not_finite(size, qkv, exact_lse.value);
  of_out.push_back(only_first_columns(1, kFirstOfHead));
  of_out.push_back(only_first_columns(32, kFirst32OfHead));
  std::vector<Mistake> of_lse;
  for (const Known& k : known) {
    const auto attend = [&size, &qkv, slip = k.slip] {
      return Attention(size, slip, qkv).forward();
    };
    of_out.push_back(slipped([attend] { return attend().out; }, k.nudge, k.rows));
  }
  const auto largest_left_out = [&] {
    Values wrong = exact_lse.value;
    for (std::size_t i = 0; i < wrong.size(); ++i) wrong[i] = std::exp(wrong[i]);
    return wrong;
  };
  of_lse.push_back(
      slipped(largest_left_out, "This is the sum of exp; its logarithm is asked for."));
  of_lse.push_back(when(
      [&](const Answer& a) {  // log of a sum whose largest term is 1: from 0 to log T
        for (const double v : a.actual) {
          if (!(v >= -1e-6 && v <= std::log(size.T) + 1e-6)) return false;
        }
        return true;
      },
      "Is this log(sum) alone? The largest score, which was taken off before exp, comes back: "
      "lse = largest + log(sum)."));
  of_lse.push_back(slipped(
      [&] {
        Values wrong(exact_lse.value.size());
        for (int b = 0; b < size.B; ++b) {
          for (int h = 0; h < size.NH; ++h) {
            for (int t = 0; t < size.T; ++t) {
              wrong[static_cast<std::size_t>((b * size.T + t) * size.NH + h)] =
                  exact_lse.value[static_cast<std::size_t>((b * size.NH + h) * size.T + t)];
            }
          }
        }
        return wrong;
      },
      "The numbers are right, but laid out as [B, T, NH]; lse is [B, NH, T]."));
  exam.expect("out", out, exact.value, size.out_shape(), within(size, exact), of_out);
  exam.expect("lse", lse, exact_lse.value, size.lse_shape(), within(size, exact_lse), of_lse);
}

using ForwardFunction = void(float*, float*, const float*, float*, int, int, int, int, int, bool);

inline void examine_forward(Exam& exam, ForwardFunction* forward, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const auto& [B, T, NH, NKV, HS, causal] = c.size;
    const Values qkv = tokens_of(c, 1);
    Sandbox& s = exam.call(described("multihead_attention_forward", c));
    float *out = s.output(c.size.out()), *lse = s.output(c.size.lse());
    const float* qkv_ = s.input(qkv);
    forward(out, lse, qkv_, s.scratch(T), B, T, NH, NKV, HS, causal);
    expect_forward(exam, c, qkv, out, lse);
  }
}

// The queries, the keys or the values (0, 1, 2) of an array like qkv: [B, T, heads, HS].
struct Piece {
  std::string name, head;  // of the gradient, and of the axis of its heads
  int heads = 0, first = 0;

  Shape shape(const AttentionSize& s) const {
    return {{"b", s.B}, {"t", s.T}, {head, heads}, {"d", s.HS}};
  }
  Values of(const Values& qkv, const AttentionSize& s) const {
    Values out;
    const int row = (s.NH + 2 * s.NKV) * s.HS;
    for (std::size_t i = 0; i < qkv.size(); ++i) {
      const int column = static_cast<int>(i % static_cast<std::size_t>(row)) / s.HS;
      if (column >= first && column < first + heads) out.push_back(qkv[i]);
    }
    return out;
  }
};
inline std::vector<Piece> pieces(const AttentionSize& s) {
  return {{"dq", "h", s.NH, 0}, {"dk", "g", s.NKV, s.NH}, {"dv", "g", s.NKV, s.NH + s.NKV}};
}

// Which of them a function adds to.
enum class Part { all, queries, keys_and_values };
inline bool adds_to(Part part, const Piece& piece) {
  return part == Part::all || (piece.name == "dq") == (part == Part::queries);
}

struct BackwardArguments {
  float* dqkv = nullptr;
  const float *dout = nullptr, *out = nullptr, *lse = nullptr, *qkv = nullptr;
  Values delta = {};  // for those who want it, or check it
  Values out_values = {}, dout_values = {};
};
using CallBackward = std::function<void(Sandbox&, const BackwardArguments&, const AttentionSize&)>;

inline std::vector<Known> backward_slips(const AttentionSize& size) {
  const std::vector<std::pair<Term, std::string>> terms = {
      {Term::no_scale_dq, "dq lacks the factor 1 / sqrt(HS) that stands in s[t, u]."},
      {Term::no_scale_dk, "dk lacks the factor 1 / sqrt(HS) that stands in s[t, u]."},
      {Term::no_delta,
       "The softmax's second term is missing: raising one score lowers the other probabilities. "
       "ds = p * (dp - delta), with delta = dout[t] . out[t]."},
      {Term::no_p, "ds lacks the factor p: ds = p * (dp - delta)."},
      {Term::delta_without_p,
       "delta is the sum of p times dp, not of dp alone; dout[t] . out[t] is that sum."},
      {Term::dv_of_ds,
       "dv gets ds where it should get p: v[u] is multiplied by p in the forward "
       "pass."},
      {Term::dv_without_p, "dv lacks the factor p[t, u]."},
      {Term::dp_of_keys, "dp[t, u] is dout[t] . v[u]; yours is a product with the key."},
      {Term::dk_of_keys,
       "dk[u] collects ds times the query q[t]: in a product, each factor gets "
       "the other one. Yours gets the key itself."},
      {Term::dp_of_out,
       "ds sums to 0 over the keys, and so does what arrives here. Is dp a product with out[t] "
       "instead of v[u]? Or does dq collect ds times q[t] instead of k[u]?"},
      {Term::p_unscaled, "p is made again as exp(s - lse), and s has the factor 1 / sqrt(HS)."},
      {Term::p_without_lse, "p is exp(s - lse): lse of this query and head is missing."},
      {Term::dk_of_last_head,
       "Only the last head of each group arrives in dk and dv: all heads of a group add to them "
       "(+=)."},
      {Term::dk_of_first_head,
       "Only the first head of each group arrives in dk and dv: go over all NH / NKV of them."},
      {Term::signs, "The sign of ds: dp - delta, not the other way round."},
      {Term::delta_of_all_heads,
       "delta is summed over the row of all heads. A head's softmax knows its own only: dout . out "
       "over its HS numbers."},
      {Term::delta_so_far,
       "delta has to be whole before the first ds: yours is the sum over the keys up to u. "
       "dout[t] . out[t] is the whole sum, without a loop over the keys."},
      {Term::mean_of_group,
       "This is the mean over the heads of a group. A gradient is a sum: each head adds all of its "
       "part to the dk and dv that it shares."},
      {Term::sums_so_far,
       "The sums of the first heads of a group arrive again with each later head: add to dqkv "
       "once, behind the loop over the heads, or clear the sums for each head."},
  };
  std::vector<Known> known;
  for (const auto& [term, nudge] : terms) known.push_back({{.term = term}, nudge});
  for (const Known& common : common_slips(size)) known.push_back(common);
  return known;
}

// One piece of dqkv, which held `start` before the call.
inline void expect_piece(Exam& exam, const Piece& piece, Part part, const Case& c,
                         const Values& actual, const Values& start, const Exact& exact,
                         const std::function<Values(const Slip&)>& gradient_of) {
  const AttentionSize& size = c.size;
  const auto here = [&](const Values& values) { return piece.of(values, size); };
  const Values before = here(start);
  const auto on_top = [before](Values gradient) {
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += before[i];
    return gradient;
  };
  if (!adds_to(part, piece)) {
    exam.expect(piece.name, here(actual), before, piece.shape(size), {},
                {when([](const Answer&) { return true; },
                      "This function has nothing to add there: that is the other one's work.")});
    return;
  }
  std::vector<Mistake> mistakes = {
      slipped([&] { return here(exact.value); },
              "The gradient itself is right, but it replaces what was there. Gradients accumulate: "
              "use += where you have = (on the device, add() for store())."),
      when([&](const Answer& a) { return a.actual == before; },
           piece.name == "dv"
               ? "It is as it was before the call: nothing was added to it."
               : "It is as it was before the call: nothing was added to it, or 0. (If dp "
                 "is a product with out[t] instead of v[u], ds is 0.)")};
  mistakes.push_back(only_first_columns(1, kFirstOfHead));
  mistakes.push_back(only_first_columns(32, kFirst32OfHead));
  for (const Known& k : backward_slips(size)) {
    mistakes.push_back(
        slipped([&, slip = k.slip] { return on_top(here(gradient_of(slip))); }, k.nudge, k.rows));
  }
  Tolerance tolerance = within(size, exact);
  tolerance.magnitudes = here(exact.magnitude);
  for (std::size_t i = 0; i < before.size(); ++i) tolerance.magnitudes[i] += std::abs(before[i]);
  exam.expect(piece.name, here(actual), on_top(here(exact.value)), piece.shape(size), tolerance,
              mistakes);
}

// delta[b, h, t] = dout . out, or the part of it with every step-th number of a head
inline Values delta_of(const AttentionSize& s, const Values& out, const Values& dout,
                       int step = 1) {
  Values delta(static_cast<std::size_t>(s.lse()));
  for (int i = 0; i < static_cast<int>(out.size()); ++i) {
    const int h = i / s.HS % s.NH, t = i / s.HS / s.NH % s.T, b = i / s.HS / s.NH / s.T;
    if (i % s.HS % step != 0) continue;
    const auto at = static_cast<std::size_t>(i);
    delta[static_cast<std::size_t>((b * s.NH + h) * s.T + t)] += out[at] * dout[at];
  }
  return delta;
}

inline void examine_backward(Exam& exam, const std::string& name, Part part,
                             const CallBackward& call, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const AttentionSize& size = c.size;
    const Values qkv = tokens_of(c, 1), dout = random_values(size.out(), 2);
    const test::Equation equation = test::attention_equation(size);
    const Attended saved{equation.forward({qkv}).value, test::attention_lse(size, qkv).value};
    const Exact exact = equation.backward({qkv}, dout)[0];
    Sandbox& s = exam.call(described(name, c));
    BackwardArguments a{.dqkv = s.accumulator(size.qkv())};
    a.dout = s.input(dout), a.out = s.input(saved.out);
    a.lse = s.input(saved.lse), a.qkv = s.input(qkv);
    a.delta = delta_of(size, saved.out, dout);
    a.out_values = saved.out, a.dout_values = dout;
    const Values start = s.values(a.dqkv);
    call(s, a, size);
    const Values actual = s.values(a.dqkv);
    const auto gradient_of = [&](const Slip& slip) {
      return Attention(size, slip, qkv).backward(saved, dout);
    };
    const std::vector<Piece> all = pieces(size);
    for (const Piece& piece : {all[2], all[0], all[1]}) {  // in the order of the derivation
      expect_piece(exam, piece, part, c, actual, start, exact, gradient_of);
    }
  }
}

}  // namespace tinygpt::lessons
