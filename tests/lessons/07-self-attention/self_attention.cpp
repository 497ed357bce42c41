// Grades exercises/07-self-attention/self_attention.cpp.
#include "solutions/07-self-attention/self_attention.h"

#include "tests/lessons/07-self-attention/attention_exam.h"
#include "tests/lessons/07-self-attention/softmax_backward_exam.h"

namespace tinygpt::lessons {
namespace {

// The first one tells mistakes apart: with T = 1 or HS = 1 many of them look alike.
const std::vector<std::pair<int, int>> kSizes = {{4, 3}, {5, 2},  {1, 1}, {1, 4}, {2, 1},
                                                 {3, 7}, {7, 64}, {0, 3}, {33, 5}};
// And with HS = 3 a root that is rounded down looks like none at all.
const std::vector<std::pair<int, int>> kScoreSizes = {{3, 5}, {4, 3},  {5, 2}, {1, 1}, {1, 4},
                                                      {2, 1}, {7, 64}, {0, 3}, {33, 5}};

struct Case {
  int T, HS;
  double scale;           // of q
  bool uneven = false;    // the first query is 400 times as large
  bool repeated = false;  // all keys are the same, as for a token that is repeated
  bool opposed = false;   // every key points away from every query
};
const std::vector<Case> kCases = {{3, 5, 1},
                                  {4, 3, 1},
                                  {5, 2, 3},
                                  {1, 1, 1},
                                  {1, 4, 1},
                                  {2, 1, 1},
                                  {0, 3, 1},
                                  {3, 7, 1, false, true},
                                  {7, 64, 1},
                                  {33, 5, 1},
                                  {5, 4, 1, true},
                                  {6, 3, 400},
                                  {4, 8, 400, false, false, true}};

struct Inputs {
  Grid q, k, v;
};

Inputs inputs_of(const Case& c) {
  Inputs in{random_grid(c.T, c.HS, 1, c.scale), random_grid(c.T, c.HS, 2),
            random_grid(c.T, c.HS, 3)};
  for (int d = 0; d < c.HS && c.T > 0; ++d) {
    if (c.uneven) in.q(0, d) *= 400;
    for (int t = 0; c.opposed && t < c.T; ++t) {
      in.q(t, d) = std::abs(in.q(t, d)), in.k(t, d) = -std::abs(in.k(t, d));
    }
    for (int u = 1; c.repeated && u < c.T; ++u) in.k(u, d) = in.k(0, d);
  }
  return in;
}

std::string words(const Case& c) {
  return fmt::format("(T={}, HS={}){}{}{}{}", c.T, c.HS,
                     c.scale > 1 ? fmt::format(", queries of size {}", c.scale) : "",
                     c.uneven ? ", the first query 400 times as large as the others" : "",
                     c.repeated ? ", all keys alike" : "",
                     c.opposed ? ", all scores far below 0" : "");
}

struct Forward {
  Grid scores, score_size, p, p_size, out, out_size;
};

Forward forward_of(const Inputs& in) {
  const double scale = scale_for(in.q.columns);
  Grid scores = times(scale, times(in.q, flipped(in.k)));
  Grid score_size = times(scale, times(size_of(in.q), flipped(size_of(in.k))));
  Grid p = row_softmax(scores);
  // exp makes an error of a score a relative one, so it grows with the largest score.
  Grid p_size = grid(p.rows, p.columns, [&](int t, int u) {
    double largest = 0;
    for (int w = 0; w < p.columns; ++w) largest = std::max(largest, score_size(t, w));
    return p(t, u) * (1 + largest);
  });
  return {scores, score_size, p, p_size, times(p, in.v), times(p_size, size_of(in.v))};
}

// Each row of a square matrix is finite, or not finite anywhere.
bool in_whole_rows(const Answer& answer) {
  const std::size_t T = static_cast<std::size_t>(answer.shape[0].size);
  for (std::size_t i = 0; i < answer.actual.size(); ++i) {
    const bool first = std::isfinite(answer.actual[i / T * T]);
    if (std::isfinite(answer.actual[i]) != first) return false;
  }
  return true;
}

std::vector<Mistake> probability_mistakes(const Case& c, const Forward& right) {
  const Grid relative = grid(c.T, c.T, [&](int t, int u) {
    double largest = -INFINITY;
    for (int w = 0; w < c.T; ++w) largest = std::max(largest, right.scores(t, w));
    return std::exp(right.scores(t, u) - largest);
  });
  const bool large = c.uneven || c.scale > 20;
  double so_far = 0;  // of the sums of the rows
  const Grid never_reset = grid(c.T, c.T, [&](int t, int u) {
    for (int w = 0; u == 0 && w < c.T; ++w) so_far += relative(t, w);
    return relative(t, u) / so_far;
  });
  return {
      when([&c](const Answer& a) { return c.opposed && overflowed(a); },
           "All scores are far below 0 here, and beside a maximum of 0 all their exponentials are "
           "0. Begin the search for the largest with a score of the row, or with -INFINITY. "
           "(std::numeric_limits<float>::min() is a number just above 0.)"),
      when([large](const Answer& a) { return large && overflowed(a) && in_whole_rows(a); },
           "Whole rows are 0 / 0. Does each row have its own largest score taken off? Below the "
           "largest score of another row all its exponentials can be 0."),
      when([large](const Answer& a) { return large && overflowed(a); },
           "These scores are large. exp(89) is infinite in float already: subtract the row's "
           "largest score before exp."),
      gives(flipped(row_softmax(flipped(right.scores))).values,
            "The softmax runs over the queries: here each column of p sums to 1. It must run over "
            "the keys, so that each row sums to 1: a query shares out its attention."),
      gives(relative.values,
            "These are exponentials, not yet divided by their sum: a row of p must sum to 1."),
      gives(never_reset.values,
            "The sum goes on from row to row: it must begin at 0 for each query."),
      gives(row_softmax(times(scale_for(c.HS), right.scores)).values,
            "The scores are divided by sqrt(HS) a second time: attention_scores has done that."),
      gives(right.scores.values, "p is still the scores: the softmax is missing."),
      gives(row_softmax(right.scores, [](int t, int u) { return u <= t; }).values,
            "Each query looks back only. That is a causal mask, which comes in lesson 08: here "
            "every query may look at every key."),
  };
}

void examine_forward(Exam& exam) {
  for (const Case& c : kCases) {
    const Inputs in = inputs_of(c);
    const Forward right = forward_of(in);
    Sandbox& s = exam.call("attention_forward" + words(c));
    const std::int64_t n = std::int64_t{c.T} * c.HS, square_n = std::int64_t{c.T} * c.T;
    float *out = s.output(n), *scores = s.output(square_n), *p = s.output(square_n);
    const float *q = s.input(in.q.values), *k = s.input(in.k.values), *v = s.input(in.v.values);
    ref::attention_forward(out, scores, p, q, k, v, c.T, c.HS);
    std::vector<Mistake> of_scores = score_mistakes(in.q, in.k);
    const Grid below = grid(c.T, c.T, [&](int t, int u) {
      double largest = -INFINITY;
      for (int w = 0; w < c.T; ++w) largest = std::max(largest, right.scores(t, w));
      return right.scores(t, u) - largest;
    });
    of_scores.push_back(gives(below.values,
                              "The largest value of each row is taken off in scores itself. Leave "
                              "the scores as attention_scores made them, and take it off on the "
                              "way to p."));
    of_scores.push_back(gives(right.p.values,
                              "scores holds the probabilities: write those to p, and leave the "
                              "scores as attention_scores made them."));
    exam.expect("scores", scores, right.scores.values, square(c.T),
                {.terms = static_cast<double>(c.HS), .magnitudes = right.score_size.values},
                of_scores);
    exam.expect(
        "p", p, right.p.values, square(c.T),
        {.terms = static_cast<double>(std::max(c.T, c.HS)), .magnitudes = right.p_size.values},
        probability_mistakes(c, right));
    exam.expect(
        "out", out, right.out.values, {{"t", c.T}, {"d", c.HS}},
        {.terms = static_cast<double>(std::max(c.T, c.HS)), .magnitudes = right.out_size.values},
        {gives(times(right.p, in.k).values,
               "This is the sum of the keys. Keys are only for comparing; what is passed on is v."),
         gives(times(flipped(right.p), in.v).values,
               "p is transposed here: out[t] takes p[t, u] of v[u]."),
         gives(times(right.scores, in.v).values,
               "The values are weighted with the scores; take the probabilities p.")});
  }
}

// All matrices of the backward pass, from p as it is given.
struct Backward {
  Grid dv, dp, ds, dq, dk;
};

// magnitudes: the same with all terms positive, for the tolerance.
Backward backward_of(const Inputs& in, const Grid& p, const Grid& dout, bool magnitudes) {
  const double scale = scale_for(in.q.columns);
  Grid dp = times(dout, flipped(in.v));
  Grid ds = grid(p.rows, p.columns, [&](int t, int u) {
    double mean = 0;
    for (int w = 0; w < p.columns; ++w) mean += p(t, w) * dp(t, w);
    return p(t, u) * (magnitudes ? dp(t, u) + mean : dp(t, u) - mean);
  });
  return {times(flipped(p), dout), dp, ds, times(scale, times(ds, in.k)),
          times(scale, times(flipped(ds), in.q))};
}

// What a loop with = for += leaves in the buffer: the part of the last row that is added up. As it
// is seen by expect_added: less what was there.
Values only_last(double factor, const Grid& weights, const Grid& rows, const Values& start) {
  const int last = weights.columns - 1;
  Grid out(weights.rows, rows.columns);
  if (last >= 0) {
    out = grid(weights.rows, rows.columns,
               [&](int r, int c) { return factor * weights(r, last) * rows(last, c); });
  }
  for (std::size_t i = 0; i < start.size(); ++i) out.values[i] -= start[i];
  return out.values;
}

struct Buffers {
  float *dq, *dk, *dv, *dp, *ds;
  Values dq_start, dk_start, dv_start;
};

void expect_queries_and_keys(Exam& exam, const Case& c, const Buffers& b, const Inputs& in,
                             const Backward& right, const Backward& size) {
  const double scale = scale_for(c.HS);
  const Shape shape = {{"t", c.T}, {"d", c.HS}}, key_shape = {{"u", c.T}, {"d", c.HS}};
  const double terms = std::max(c.T, c.HS);
  const Grid back = flipped(right.ds);
  exam.expect_added(
      "dq", b.dq, right.dq.values, shape, {.terms = terms, .magnitudes = size.dq.values},
      {gives(times(right.ds, in.k).values,
             "dq lacks the factor 1 / sqrt(HS): the scores were scaled, so their gradient is, too, "
             "on its way to q."),
       gives(times(scale, right.dq).values, "dq has the factor 1 / sqrt(HS) twice."),
       gives(times(scale, times(right.ds, in.q)).values,
             "dq is made with q. A product passes the gradient on times the other factor: k[u]."),
       gives(times(scale, times(back, in.k)).values,
             "ds is transposed in dq: dq[t] is the sum over the keys u of ds[t, u] * k[u]."),
       gives(times(scale, times(right.dp, in.k)).values,
             "dq is made of dp, before the softmax. Take ds."),
       gives(only_last(scale, right.ds, in.k, b.dq_start),
             "dq only has the part of the last key: every key that a query looked at adds to it. "
             "Use += where you have =.")});
  exam.expect_added(
      "dk", b.dk, right.dk.values, key_shape, {.terms = terms, .magnitudes = size.dk.values},
      {gives(times(back, in.q).values,
             "dk lacks the factor 1 / sqrt(HS). It stands before the whole product q . k, so both "
             "dq and dk have it."),
       gives(times(scale, right.dk).values, "dk has the factor 1 / sqrt(HS) twice."),
       gives(times(scale, times(back, in.k)).values,
             "dk is made with k. A product passes the gradient on times the other factor: q[t]."),
       gives(times(scale, times(right.ds, in.q)).values,
             "ds is not transposed in dk: dk[u] is the sum over the queries t of ds[t, u] * q[t]."),
       gives(times(scale, times(flipped(right.dp), in.q)).values,
             "dk is made of dp, before the softmax. Take ds."),
       gives(only_last(scale, back, in.q, b.dk_start),
             "dk only has the part of the last query: every query that looked at a key adds to it. "
             "Use += where you have =.")});
}

void examine_backward(Exam& exam) {
  for (const Case& c : kCases) {
    const Inputs in = inputs_of(c);
    Grid p = forward_of(in).p;
    for (double& value : p.values) value = static_cast<float>(value);
    const Grid dout = random_grid(c.T, c.HS, 4);
    const Backward right = backward_of(in, p, dout, false);
    const Backward size =
        backward_of({size_of(in.q), size_of(in.k), size_of(in.v)}, p, size_of(dout), true);
    Sandbox& s = exam.call("attention_backward" + words(c));
    const std::int64_t n = std::int64_t{c.T} * c.HS, square_n = std::int64_t{c.T} * c.T;
    Buffers b{s.accumulator(n, 5),
              s.accumulator(n, 6),
              s.accumulator(n, 7),
              s.output(square_n),
              s.output(square_n),
              {},
              {},
              {}};
    b.dq_start = s.values(b.dq), b.dk_start = s.values(b.dk), b.dv_start = s.values(b.dv);
    const float *dout_ = s.input(dout.values), *p_ = s.input(p.values);
    const float *q = s.input(in.q.values), *k = s.input(in.k.values), *v = s.input(in.v.values);
    ref::attention_backward(b.dq, b.dk, b.dv, b.dp, b.ds, dout_, p_, q, k, v, c.T, c.HS);
    const double terms = std::max(c.T, c.HS);
    exam.expect_added(
        "dv", b.dv, right.dv.values, {{"u", c.T}, {"d", c.HS}},
        {.terms = terms, .magnitudes = size.dv.values},
        {when(overflowed,
              "NaN or infinity: p is given, with the maximum taken off already. Do not make it "
              "again from q and k without that."),
         gives(times(p, dout).values,
               "p is not transposed in dv: v[u] went to every query t with the weight p[t, u], and "
               "gets p[t, u] * dout[t] from each of them."),
         gives(only_last(1, flipped(p), dout, b.dv_start),
               "dv only has the part of the last query: every query that looked at a value adds to "
               "it. Use += where you have =.")});
    const Grid centred = grid(c.T, c.T, [&](int t, int u) {
      double mean = 0;
      for (int w = 0; w < c.T; ++w) mean += p(t, w) * right.dp(t, w);
      return right.dp(t, u) - mean;
    });
    std::vector<Mistake> of_ds = ds_mistakes(p, right.dp, scale_for(c.HS));
    for (const Mistake& loop : ds_loop_mistakes(p, right.dp)) of_ds.push_back(loop);
    exam.expect("dp", b.dp, right.dp.values, square(c.T),
                {.terms = terms, .magnitudes = size.dp.values},
                {gives(centred.values,
                       "dp has the weighted mean of its row taken off already. dp is dout[t] . "
                       "v[u]; the mean comes off on the way to ds."),
                 gives(flipped(right.dp).values,
                       "dp is transposed: dp[t, u] is the product of dout[t] and v[u]."),
                 gives(times(dout, flipped(in.k)).values,
                       "dp is made with k. In out[t] = sum_u p[t, u] * v[u] the factor beside p is "
                       "v[u].")});
    exam.expect("ds", b.ds, right.ds.values, square(c.T),
                {.terms = terms, .magnitudes = size.ds.values}, of_ds);
    expect_queries_and_keys(exam, c, b, in, right, size);
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"07.weighted_sum", [](Exam& e) { examine_weighted_sum(e, ref::weighted_sum, kSizes); }},
      {"07.attention_scores",
       [](Exam& e) { examine_scores(e, ref::attention_scores, kScoreSizes); }},
      {"07.attention_forward", examine_forward},
      {"07.attention_backward", examine_backward},
  };
}

}  // namespace tinygpt::lessons
