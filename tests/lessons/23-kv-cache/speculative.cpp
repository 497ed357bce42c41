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
       return u * q[t] >= p[t] ? token : drawn(missing(p, q), v, token);
     },
     "It is the other way round: where u * q[token] < p[token] the token stands. A small u keeps "
     "it."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       return right(p, q, token, v, u);
     },
     "u and v have changed places: u decides whether the token stands, v draws another."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       Values others = p;
       others[t] = 0;
       return u * q[t] < p[t] ? token : drawn(others, v, token);
     },
     "You draw from p without the refused token. Other tokens may come too often already, by "
     "standing: it is max(0, p - q) that is missing."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u * q[t] < p[t] ? token : drawn(q, v, token);
     },
     "You draw from q again: then q writes the text after all. It is max(0, p - q) that is "
     "missing."},
    {[](const Values& p, const Values& q, int token, double u, double) {
       const auto t = static_cast<std::size_t>(token);
       const auto best = std::max_element(p.begin(), p.end()) - p.begin();
       return u * q[t] < p[t] ? token : static_cast<int>(best);
     },
     "The model's likeliest token always takes the place. It is drawn: with v, from "
     "max(0, p - q)."},
    {[](const Values& p, const Values& q, int token, double u, double) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       return drawn(missing(p, q), 0, token);
     },
     "The first token with something missing always wins. It is drawn: with v."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       double sum = 0, before = 0;
       for (std::size_t w = 0; w < p.size(); ++w) sum += p[w] - q[w];
       int last = token;
       for (std::size_t w = 0; w < p.size(); ++w) {
         if (p[w] == q[w]) continue;
         before += p[w] - q[w];
         last = static_cast<int>(w);
         if (before > v * sum) break;
       }
       return last;
     },
     "p - q is below 0 where the draft is too generous, and the sum of all is 0: take "
     "max(0, p - q)."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       return u < p[t] * q[t] ? token : drawn(missing(p, q), v, token);
     },
     "You compare u with p * q. The chance to stand is the quotient: u * q[token] < p[token]."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       const Values m = missing(p, q);
       double sum = 0, before = 0;
       for (const double w : m) sum += w;
       int last = token;
       for (std::size_t w = 0; w < m.size(); ++w) {
         before += m[w];
         if (before > v * sum) break;
         if (m[w] > 0) last = static_cast<int>(w);
       }
       return last;
     },
     "You take the token before the one at which the running sum becomes greater."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       return u < q[static_cast<std::size_t>(token)] ? token : drawn(missing(p, q), v, token);
     },
     "You compare u with q[token], by which it was drawn already. It stands with probability "
     "p[token] / q[token]."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       Values both;
       for (std::size_t w = 0; w < p.size(); ++w) both.push_back(std::min(p[w], q[w]));
       return drawn(both, v, token);
     },
     "You draw from min(p, q). That share has come already, by standing: it is max(0, p - q) that "
     "is missing."},
    {[](const Values& p, const Values& q, int token, double u, double v) {
       const auto t = static_cast<std::size_t>(token);
       if (u * q[t] < p[t]) return token;
       const Values m = missing(p, q);
       double sum = 0, before = 0;
       for (const double w : m) sum += w;
       int last = token;
       for (std::size_t w = 0; w < m.size(); ++w) {
         if (m[w] == 0) continue;
         before += m[w];
         last = static_cast<int>(w);
         if (before < v * sum) break;
       }
       return last;
     },
     "The comparison is turned: the running sum stops at the first token where it is greater than "
     "v times the sum."},
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

struct Call {
  Distributions d;
  int token;
  double u, v;
  int expected, actual;
};

void name_call(Exam& exam, const Call& c) {
  exam.call(
      fmt::format("speculative_accept(token={}, u={}, v={}), {}", c.token, c.u, c.v, c.d.name));
}

// All calls first: what explains the wrong ones must explain every one.
std::vector<Call> make_calls(Exam& exam) {
  std::vector<Call> calls;
  for (const Distributions& d : distributions()) {
    for (int token = 0; token < static_cast<int>(d.p.size()); ++token) {
      if (d.q[static_cast<std::size_t>(token)] == 0) continue;  // never drafted
      for (const double u : {0.0, 0.2, 0.45, 0.62, 0.97}) {
        for (const double v : {0.0, 0.3, 0.55, 0.999}) {
          calls.push_back({d, token, u, v, right(d.p, d.q, token, u, v), 0});
          name_call(exam, calls.back());
          const int found = ref::speculative_accept(d.p, d.q, token, u, v);
          const auto V = static_cast<int>(d.p.size());
          exam.expect_true(found >= 0 && found < V, fmt::format("{} is no token", found));
          calls.back().actual = found;
        }
      }
    }
  }
  return calls;
}

void examine_accept(Exam& exam) {
  const std::vector<Call> calls = make_calls(exam);
  const auto first = std::find_if(calls.begin(), calls.end(),
                                  [](const Call& c) { return c.actual != c.expected; });
  if (first == calls.end()) return;
  std::string nudge;
  for (const KnownRule& known : kRules) {
    const bool explains = std::all_of(calls.begin(), calls.end(), [&](const Call& c) {
      return known.rule(c.d.p, c.d.q, c.token, c.u, c.v) == c.actual;
    });
    if (explains && nudge.empty()) nudge = known.nudge;
  }
  name_call(exam, *first);
  const auto t = static_cast<std::size_t>(first->token);
  exam.wrong(fmt::format("{} is expected, yours is {}; p[{}] is {:.3g} and q[{}] is {:.3g}",
                         first->expected, first->actual, t, first->d.p[t], t, first->d.q[t]),
             nudge);
}

// What rounding can do: nothing is missing anywhere, or all of it does not come up to v.
void examine_rounding(Exam& exam) {
  const double almost = 0x1.fffffffffffffp-1;  // the last before 1
  const Values p = {0.25, 0.4999999999999, 0.25}, q = {0.25, 0.5, 0.25};
  exam.call("speculative_accept(token=1, u=1-2^-53, v=0.5), V=3, p a little less than q");
  const int found = ref::speculative_accept(p, q, 1, almost, 0.5);
  exam.expect_true(found == 1, fmt::format("{} is expected, yours is {}", 1, found),
                   "The sum of what is missing may be 0, where rounding has left p a little short. "
                   "Then the drafted token is as good as any: begin with last = token.");
  for (std::uint64_t seed = 10; seed < 74; ++seed) {
    const int V = 3 + static_cast<int>(seed);
    Values sure = random_distribution(V, seed, 2), draft = random_distribution(V, seed + 100, 2);
    for (const int never : {0, V / 2}) {  // tokens that the model never writes
      sure[static_cast<std::size_t>(never)] = 0;
    }
    exam.call(
        fmt::format("speculative_accept(token={}, u=0.5, v=1-2^-53), V={}, random", V / 2, V));
    const int last = ref::speculative_accept(sure, draft, V / 2, 0.5, almost);
    const bool stands =
        last >= 0 && last < V &&
        sure[static_cast<std::size_t>(last)] > draft[static_cast<std::size_t>(last)];
    exam.expect_true(
        stands, fmt::format("{} comes out, of which nothing is missing: p is below q there", last),
        "Rounding may leave the running sum short of v. Then the last token with "
        "something missing is the answer: remember it on the way. The refused token "
        "may be one that the model never writes.");
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"23.speculative_accept", [](Exam& e) {
             examine_accept(e);
             examine_rounding(e);
           }}};
}

}  // namespace tinygpt::lessons
