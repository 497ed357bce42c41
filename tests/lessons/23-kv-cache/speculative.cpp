// Grades exercises/23-kv-cache/speculative.cpp.
#include "solutions/23-kv-cache/speculative.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

using Rule = std::function<int(const Values& p, const Values& q, int token, double u, double v)>;

// The first token at which the running sum of weights is greater than u times their sum;
// `otherwise` where there is no weight.
int drawn(const Values& weights, double u, int otherwise, bool divided = true) {
  double sum = 0, before = 0;
  for (const double w : weights) sum += w;
  int last = otherwise;
  for (std::size_t w = 0; w < weights.size(); ++w) {
    if (weights[w] == 0) continue;
    before += weights[w];
    last = static_cast<int>(w);
    if (before > u * (divided ? sum : 1.0)) break;
  }
  return last;
}

Values missing(const Values& p, const Values& q) {
  Values m;
  for (std::size_t w = 0; w < p.size(); ++w) m.push_back(std::max(0.0, p[w] - q[w]));
  return m;
}

int right(const Values& p, const Values& q, int token, double u, double v) {
  const auto t = static_cast<std::size_t>(token);
  return u * q[t] < p[t] ? token : drawn(missing(p, q), v, token);
}

struct KnownRule {
  Rule rule;
  const char* nudge;
};

// Where several explain an answer the first one speaks.
const std::vector<KnownRule> kRules = {
    {[](const Values&, const Values&, int token, double, double) { return token; },
     "The drafted token always stands: then the draft model writes the text. It stands with "
     "probability min(1, p[token] / q[token])."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u * p[t] < q[t] ? token : drawn(missing(p, q), v, token);
     },
     "The test is the wrong way round: a token that the model likes more than the draft does "
     "always stands. u * q[token] < p[token]."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u * q[t] < p[t] ? token : drawn(p, v, token);
     },
     "What takes the refused token's place is drawn from p. But tokens to which q gives enough "
     "have come already, by standing: it is max(0, p - q) that is missing."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u * q[t] < p[t] ? token : drawn(missing(q, p), v, token);
     },
     "You draw from max(0, q - p): these tokens come too often already. It is max(0, p - q) that "
     "is missing."},
    {[](const Values& p, const Values& q, int token, double u, double) {
       const auto t = static_cast<std::size_t>(token);
       return u * q[t] < p[t] ? token : drawn(missing(p, q), u, token);
     },
     "The number u has decided that the token is refused, so it is large, and no longer uniform. "
     "v is for the second draw."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u * q[t] < p[t] ? token : drawn(missing(p, q), v, token, false);
     },
     "What is missing does not sum to 1: compare the running sum with v times the sum."},
    {[](const Values& p, const Values& q, int token, double u, double) {
       const auto t = static_cast<std::size_t>(token);
       const Values m = missing(p, q);
       return u * q[t] < p[t] ? token
                              : static_cast<int>(std::max_element(m.begin(), m.end()) - m.begin());
     },
     "The largest of what is missing always wins. It is drawn: with v."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       return u < p[static_cast<std::size_t>(token)] ? token : drawn(missing(p, q), v, token);
     },
     "You compare u with p[token] alone. The draft has drawn it with probability q[token]: the "
     "chance to stand is p[token] / q[token]."},
    {[](const Values& p, const Values& q, int token, double, double v) {
       const auto t = static_cast<std::size_t>(token);
       return p[t] >= q[t] ? token : drawn(missing(p, q), v, token);
     },
     "A token that the draft likes too much is always refused. It stands sometimes: with "
     "probability p[token] / q[token]."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return p[t] > 0.5 * q[t] ? token : right(p, q, token, u, v);
     },
     "A token that the draft likes a little too much always stands: the rule must hold to the "
     "letter, or the distribution changes."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       Values apart;
       for (std::size_t w = 0; w < p.size(); ++w) apart.push_back(std::abs(p[w] - q[w]));
       return drawn(apart, v, token);
     },
     "You draw from |p - q|. Where q is larger nothing is missing: max(0, p - q)."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       const Values m = missing(p, q);
       double sum = 0, before = 0;
       for (const double w : m) sum += w;
       for (std::size_t w = 0; w < m.size(); ++w) {
         before += m[w];
         if (before >= v * sum) return static_cast<int>(w);
       }
       return token;
     },
     "A running sum of v times the sum exactly is not enough: it must be greater. Otherwise, at "
     "v = 0, a token comes of which nothing is missing."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u * q[t] <= p[t] ? token : drawn(missing(p, q), v, token);
     },
     "At u = 0 a token of p = 0 stands, which the model never writes: u * q[token] < p[token], and "
     "not <=."},
};

struct Distributions {
  std::string name;
  Values p, q;
};

Values random_distribution(int V, std::uint64_t seed, double sharpness) {
  Values x = random_values(V, seed, sharpness);
  double sum = 0;
  for (double& w : x) sum += w = std::exp(w);
  for (double& w : x) w /= sum;
  return x;
}

std::vector<Distributions> distributions() {
  return {{"V=4", {0.5, 0.25, 0.125, 0.125}, {0.25, 0.5, 0.125, 0.125}},
          {"V=4, some impossible", {0.0, 0.5, 0.5, 0.0}, {0.5, 0.25, 0.0, 0.25}},
          {"V=2", {0.75, 0.25}, {0.25, 0.75}},
          {"V=3, the same", {0.25, 0.5, 0.25}, {0.25, 0.5, 0.25}},
          {"V=1", {1.0}, {1.0}},
          {"V=5, the model sure of another", {0, 0, 0, 1, 0}, {0.25, 0.25, 0.25, 0, 0.25}},
          {"V=17, random", random_distribution(17, 1, 1.5), random_distribution(17, 2, 1.5)},
          {"V=50, random", random_distribution(50, 3, 2.5), random_distribution(50, 4, 2.5)}};
}

void examine_accept(Exam& exam) {
  const std::vector<double> us = {0.0, 0.2, 0.45, 0.62, 0.97}, vs = {0.0, 0.3, 0.55, 0.999};
  for (const Distributions& d : distributions()) {
    struct Call {
      int token;
      double u, v;
    };
    std::vector<Call> calls;
    std::vector<int> expected, actual;
    for (int token = 0; token < static_cast<int>(d.p.size()); ++token) {
      if (d.q[static_cast<std::size_t>(token)] == 0) continue;  // never drafted
      for (const double u : us) {
        for (const double v : vs) {
          exam.call(
              fmt::format("speculative_accept(token={}, u={}, v={}), {}", token, u, v, d.name));
          const int found = ref::speculative_accept(d.p, d.q, token, u, v);
          const auto V = static_cast<int>(d.p.size());
          exam.expect_true(found >= 0 && found < V, fmt::format("{} is no token", found));
          calls.push_back({token, u, v});
          expected.push_back(right(d.p, d.q, token, u, v));
          actual.push_back(found);
        }
      }
    }
    if (actual == expected) continue;
    // The call to show is the first that is wrong; what explains it must explain all calls.
    const auto first = static_cast<std::size_t>(
        std::mismatch(actual.begin(), actual.end(), expected.begin()).first - actual.begin());
    std::string nudge;
    for (const KnownRule& known : kRules) {
      bool same = true;
      for (std::size_t i = 0; i < calls.size() && same; ++i) {
        same = known.rule(d.p, d.q, calls[i].token, calls[i].u, calls[i].v) == actual[i];
      }
      if (same) {
        nudge = known.nudge;
        break;
      }
    }
    const auto& [token, u, v] = calls[first];
    const auto t = static_cast<std::size_t>(token);
    exam.call(fmt::format("speculative_accept(token={}, u={}, v={}), {}", token, u, v, d.name));
    exam.wrong(fmt::format("{} is expected, yours is {}; p[{}] is {:.3g} and q[{}] is {:.3g}",
                           expected[first], actual[first], token, d.p[t], token, d.q[t]),
               nudge);
  }
}

// What rounding can do: the sums are short, and nothing may be read behind the last token.
void examine_rounding(Exam& exam) {
  const Values p = {0.3, 0.7 - 1e-17, 1e-17}, q = {1.0, 0.0, 0.0};
  exam.call("speculative_accept(token=0, u=0.9, v=0.99999999999999989), V=3");
  const int found = ref::speculative_accept(p, q, 0, 0.9, 0.99999999999999989);
  exam.expect_true(found == 1 || found == 2, fmt::format("{} is drawn", found),
                   "v times the sum may be all of it, rounded. Remember the last token of which "
                   "something is missing.");
}

}  // namespace

std::vector<Task> tasks() {
  return {{"23.speculative_accept", [](Exam& e) {
             examine_accept(e);
             examine_rounding(e);
           }}};
}

}  // namespace tinygpt::lessons
