// Grades exercises/14-pretraining/sampling.cpp.
#include "solutions/14-pretraining/sampling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/lessons/14-pretraining/sampling_exam.h"

namespace tinygpt::lessons {
namespace {

// ---- temperature

Values one_hot(std::size_t at, std::size_t size) {
  Values out(size, 0.0);
  out[at] = 1;
  return out;
}

std::vector<Mistake> temperature_mistakes(const Values& x, double t) {
  const auto V = static_cast<int>(x.size());
  const double largest = *std::max_element(x.begin(), x.end());
  const Values plain = softmax(x);
  Values after, sums, unequal;
  for (const double p : plain) after.push_back(p / t);
  for (const double value : x) sums.push_back(std::exp((value - largest) / t));
  return {
      when([](const Answer& a) { return broken(a); },
           "exp of a large number is infinite, and infinity by infinity is NaN. Take the largest "
           "logit off all of them before you divide by the temperature: the quotient stays the "
           "same, and nothing is larger than exp(0)."),
      gives(softmax(x, t),
            fmt::format("You multiply by the temperature. It divides the logits: below 1 their "
                        "differences grow, above 1 they shrink. (Here it is {}, of {} tokens.)",
                        t, V)),
      gives(after,
            "The temperature comes after the softmax here: probabilities that are divided by it no "
            "longer sum to 1. It divides the logits, before exp."),
      gives(softmax(plain, 1 / t),
            "The temperature comes after the softmax here: you take a softmax of probabilities. It "
            "divides the logits, before exp."),
      gives(plain,
            "The temperature has no effect. It divides the logits, before exp; probabilities that "
            "are divided by it and then by their sum are as they were."),
      gives(sums, "These do not sum to 1: divide by their sum."),
      gives(softmax(x, 1 / (t + 1e-6)),
            "Something is added to the temperature. It divides the logits as it is; 0 is a case of "
            "its own, before anything is divided."),
      gives(one_hot(static_cast<std::size_t>(std::ranges::max_element(x) - x.begin()), x.size()),
            "All goes to the largest logit. Temperature 0 alone does that: a small one is still a "
            "divisor, and what is nearly as large as the largest keeps its share."),
  };
}

void examine_temperature(Exam& exam) {
  struct Case {
    int V;
    float temperature;
    double scale, mean;
  };
  for (const auto& [V, temperature, scale, mean] : std::vector<Case>{{4, 1, 1, 0},
                                                                     {1, 0.5f, 1, 0},
                                                                     {5, 0.5f, 1, 0},
                                                                     {5, 2, 1, 0},
                                                                     {257, 0.8f, 3, 0},
                                                                     {64, 100, 5, 0},
                                                                     {7, 0.7f, 2, 300},
                                                                     {7, 0.7f, 2, -3000},
                                                                     {31, 0.1f, 500, 0},
                                                                     {3, 1e-20f, 1, 0},
                                                                     {6, 0.05f, 0.1, 0},
                                                                     {6, 1e-6f, 1e-6, 0}}) {
    const Values x = random_values(V, 1, scale, mean);
    const std::vector<float> logits(x.begin(), x.end());
    const Values exact(logits.begin(), logits.end());
    exam.call(fmt::format("sample_temperature(V={}, temperature={}), logits around {} +- {}", V,
                          temperature, mean, scale));
    Fenced out(Values(x.size(), NAN));
    ref::sample_temperature(out.inner(), logits, temperature);
    // Off by the exponent's own rounding, where it is large.
    const double size = 1 + (std::abs(mean) + scale) / std::max(double{temperature}, 0.1);
    exam.expect("probabilities", out.values(exam), softmax(exact, 1 / double{temperature}),
                {{"v", V}}, {.scale = size}, temperature_mistakes(exact, double{temperature}));
  }
}

void examine_masked(Exam& exam) {
  exam.call("sample_temperature(V=4, temperature=0.5), two of the logits -inf");
  const std::vector<float> logits = {-INFINITY, 1.0f, -INFINITY, 1.0f};
  Fenced out(Values(4, NAN));
  ref::sample_temperature(out.inner(), logits, 0.5f);
  exam.expect("probabilities", out.values(exam), Values{0, 0.5, 0, 0.5}, {{"v", 4}}, {.scale = 1},
              {when(broken,
                    "A logit of -inf stands for a probability of 0: exp(-inf) is 0, but "
                    "-inf - (-inf) is NaN. Start the largest at a logit.")});
}

void examine_zero(Exam& exam) {
  struct Case {
    std::vector<float> logits;
    std::size_t likeliest;
  };
  for (const auto& [logits, likeliest] : std::vector<Case>{{{1, 3, 2}, 1},
                                                           {{-5}, 0},
                                                           {{-1, -2, -3, -4}, 0},
                                                           {{0, 2, -1, 2, 2}, 1},
                                                           {{-INFINITY, -1e30f, -INFINITY}, 1}}) {
    const std::size_t V = logits.size();
    exam.call(fmt::format("sample_temperature(V={}, temperature=0), logits {}", V, logits));
    Fenced out(Values(V, NAN));
    ref::sample_temperature(out.inner(), logits, 0.0f);
    const float largest = logits[likeliest];
    Values all, last = one_hot(V - 1, V);
    for (std::size_t v = 0; v < V; ++v) {
      all.push_back(logits[v] == largest ? 1.0 : 0.0);
      if (logits[v] == largest) last = one_hot(v, V);
    }
    exam.expect("probabilities", out.values(exam), one_hot(likeliest, V),
                {{"v", static_cast<int>(V)}}, {.scale = 1},
                {when(broken,
                      "Division by zero. Temperature 0 stands for its limit, a case of its "
                      "own: probability 1 for the largest logit, 0 for the others."),
                 gives(shares(all), "Equal logits share here. Of equals, the first gets all."),
                 gives(all, "Several tokens have probability 1. Of equals, the first gets all."),
                 gives(last, "Of equals, the first gets all; you give it to the last.")});
  }
}

// ---- top-k and top-p

// Probabilities that are exact in binary, so that their sums are, too: a random order of a few.
struct Cut {
  std::string name;
  Values p;
};
std::vector<Cut> distributions() {
  return {{"0.125, 0.5, 0.125, 0.25", {0.125, 0.5, 0.125, 0.25}},
          {"1", {1}},
          {"0.25, 0.25, 0.25, 0.25", {0.25, 0.25, 0.25, 0.25}},
          {"0, 0.5, 0, 0.5, 0", {0, 0.5, 0, 0.5, 0}},
          {"17 random ones", softmax(random_values(17, 2, 2.0))},
          {"257 random ones", softmax(random_values(257, 3, 3.0))}};
}

std::vector<Mistake> top_k_mistakes(const Values& p, const Order& order, std::size_t k) {
  Values ties(p.size(), 0.0);
  for (std::size_t v = 0; v < p.size(); ++v) {
    if (p[v] >= p[order[k - 1]]) ties[v] = p[v];
  }
  // Only what is likelier than the first token that goes; the sum of that, or of k tokens.
  Values likelier(p.size(), 0.0), by_k(p.size(), 0.0), by_first(p.size(), 0.0);
  const Values right = cut(p, order, k);
  const double of_k = std::accumulate(right.begin(), right.end(), 0.0);
  const double of_first =
      std::accumulate(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(k), 0.0);
  for (std::size_t v = 0; v < p.size(); ++v) {
    if (p[v] > p[order[k]]) likelier[v] = p[v];
    by_k[v] = likelier[v] / of_k;
    by_first[v] = right[v] / of_first;
  }
  const std::string tie =
      "Fewer than k tokens stay, since the last of them is as likely as the first one that goes. "
      "Of equals, those that come first stay: cut by place in the order, not by probability.";
  Order backwards(order.rbegin(), order.rend());
  Order late = order;  // of equals, the last first
  std::ranges::sort(late, [&](auto a, auto b) { return p[a] > p[b] || (p[a] == p[b] && a > b); });
  return {
      when(broken, "0 / 0: nothing was kept. Is it k tokens that stay, or k - 1?"),
      gives(cut(p, order, k),
            "The right tokens are left, and they do not sum to 1: divide what "
            "remains by its sum."),
      gives(shares(ties),
            "More than k tokens stay, since some are as likely as the last of them. "
            "Of equals, those that come first."),
      gives(by_k, tie),
      gives(shares(likelier), tie),
      gives(
          by_first,
          "The right tokens are left, divided by the sum of the first k of the vocabulary. Divide "
          "by the sum of those that stay: token i of the order is order[i]."),
      gives(shares(cut(p, order, k + 1)), "One token too many: k of them stay."),
      gives(shares(cut(p, order, k - 1)), "One token too few: k of them stay."),
      gives(shares(cut(p, as_they_come(p), k)),
            "These are the first k tokens of the vocabulary. The k likeliest stay: sort them."),
      gives(shares(cut(p, backwards, k)),
            "These are the k unlikeliest tokens: sort the other way."),
      gives(shares(cut(p, late, k)), "Of equally likely tokens, those that come first stay."),
  };
}

void examine_top_k(Exam& exam) {
  for (const Cut& c : distributions()) {
    const auto V = static_cast<int>(c.p.size());
    const Order order = sorted_tokens(c.p);
    for (const int k : {2, 1, V - 1, V, V + 3, 0, 40}) {
      const bool all = k <= 0 || k >= V;
      if (k < 0 || (!all && cut(c.p, order, static_cast<std::size_t>(k))[order[0]] == 0)) continue;
      exam.call(fmt::format("sample_top_k(k={}), V={}: {}", k, V, c.name));
      Fenced out(c.p);
      ref::sample_top_k(out.inner(), k);
      const auto kept = static_cast<std::size_t>(all ? V : k);
      exam.expect("probabilities", out.values(exam), shares(cut(c.p, order, kept)), {{"v", V}},
                  {.scale = 1},
                  all ? std::vector<Mistake>{when([](const Answer&) { return true; },
                                                  "k = 0, and a k of V or more, keep all tokens.")}
                      : top_k_mistakes(c.p, order, kept));
    }
  }
}

// How many of an order are kept until their sum is p, or (beyond) until it is more than p.
std::size_t needed(const Values& probabilities, const Order& order, double p, bool beyond = false) {
  double held = 0;
  std::size_t kept = 0;
  while (kept < order.size() && (held < p || (beyond && held == p))) {
    held += probabilities[order[kept++]];
  }
  return kept;
}

std::vector<Mistake> top_p_mistakes(const Values& all, const Order& order, double p) {
  const std::size_t kept = needed(all, order, p);
  const Order plain = as_they_come(all);
  const Order backwards(order.rbegin(), order.rend());
  Values large(all.size(), 0.0);
  Values ties(all.size(), 0.0), by_p = cut(all, order, kept);
  for (std::size_t v = 0; v < all.size(); ++v) {
    large[v] = all[v] >= p ? all[v] : 0.0;
    ties[v] = all[v] >= all[order[kept - 1]] ? all[v] : 0.0;
    by_p[v] /= p;
  }
  return {
      gives(shares(cut(all, order, kept - 1)),
            "The token that brings the sum to p is missing: it is the last one that stays. The cut "
            "comes behind it, not before."),
      when(broken,
           "0 / 0: nothing was kept. The token that brings the sum to p stays, even if it "
           "is the first."),
      gives(cut(all, order, kept),
            "The right tokens are left, and they do not sum to 1: divide "
            "what remains by its sum."),
      gives(shares(cut(all, plain, needed(all, plain, p))),
            "You add up the tokens in the order of the vocabulary: it is unsorted. Likeliest "
            "first."),
      gives(shares(cut(all, backwards, needed(all, backwards, p))),
            "You begin with the unlikeliest token: sort the other way."),
      gives(shares(large),
            "You keep each token whose own probability is at least p. It is their "
            "sum, likeliest first, that decides."),
      gives(shares(cut(all, order, needed(all, order, p, true))),
            "One token too many: the sum was p exactly. Stop when it is p or more."),
      gives(by_p,
            "The right tokens are left, divided by p. Together they may hold more than p: divide "
            "by their sum."),
      gives(
          shares(ties),
          "Tokens as likely as the last one kept stay, too. Stop as soon as the sum is p or more; "
          "of equals, those that come first stay."),
      gives(shares(cut(all, order, kept + 1)), "One token too many stays."),
      gives(all, "Nothing was cut."),
  };
}

void examine_top_p(Exam& exam) {
  for (const Cut& c : distributions()) {
    const auto V = static_cast<int>(c.p.size());
    const Order order = sorted_tokens(c.p);
    for (const double p : {0.3, 0.2, 0.6, 0.5, 0.75, 0.9, 1e-6, 0.9999}) {
      exam.call(fmt::format("sample_top_p(p={}), V={}: {}", p, V, c.name));
      Fenced out(c.p);
      ref::sample_top_p(out.inner(), p);
      exam.expect("probabilities", out.values(exam), shares(cut(c.p, order, needed(c.p, order, p))),
                  {{"v", V}}, {.scale = 1}, top_p_mistakes(c.p, order, p));
    }
  }
  // Their sum is 1 long before the last of them: 1 + 1e-20 is 1.
  exam.call("sample_top_p(p=1), V=4: 1e-20, 0.5, 0.5, 1e-20");
  Fenced out({1e-20, 0.5, 0.5, 1e-20});
  ref::sample_top_p(out.inner(), 1.0);
  const Values left = out.values(exam);
  exam.expect("probabilities", left, Values{0, 0.5, 0.5, 0}, {{"v", 4}}, {.scale = 1});
  exam.expect_true(left[0] > 0 && left[3] > 0, "a token of probability 1e-20 got 0",
                   "p = 1 keeps all. The sum rounds to 1 before the last token has been added, so "
                   "p = 1 is a case of its own.");
}

// ---- the draw

// What people write, with its mistakes.
struct Rule {
  bool at_border = false;     // a sum of u exactly is enough
  bool without_last = false;  // the loop ends one too early
  bool next = false;          // the token behind the one
  bool likeliest = false;     // no draw at all
  bool ends_at_last = false;  // rounding left a rest: V - 1, possible or not
  bool each_alone = false;    // no sum: the first share that is larger than u
  bool sorted = false;        // the shares side by side, likeliest first
};

int drawn(const Values& p, double u, const Rule& rule) {
  if (rule.likeliest) return static_cast<int>(std::max_element(p.begin(), p.end()) - p.begin());
  double sum = 0;
  int last = 0;
  const auto V = static_cast<int>(p.size());
  const Order order = rule.sorted ? sorted_tokens(p) : as_they_come(p);
  for (int i = 0; i < V; ++i) {
    const auto v = static_cast<int>(order[static_cast<std::size_t>(i)]);
    const double share = p[static_cast<std::size_t>(v)];
    if (rule.without_last && v == V - 1) return std::max(V - 2, 0);
    sum = rule.each_alone ? share : sum + share;
    if (sum > u || (rule.at_border && sum >= u)) return v + (rule.next ? 1 : 0);
    if (share > 0) last = v;
  }
  return rule.ends_at_last ? V - 1 : last;
}

void expect_drawn(Exam& exam, const std::string& what, const Values& p,
                  const std::vector<double>& us) {
  std::vector<int> actual;
  for (const double u : us) {
    exam.call(fmt::format("draw_token(u={}), {}", u, what));
    Fenced in(p);
    actual.push_back(ref::draw_token(in.inner(), u));
    exam.expect_true(in.values(exam) == p, "the probabilities were changed", "They are input.");
  }
  exam.call(fmt::format(
      "draw_token, {}, for u = {}{}", what,
      fmt::join(
          std::vector<double>(us.begin(), us.begin() + std::min<std::ptrdiff_t>(8, std::ssize(us))),
          ", "),
      us.size() > 8 ? ", ..." : ""));
  const auto with = [&](const Rule& rule) {
    std::vector<int> tokens;
    for (const double u : us) tokens.push_back(drawn(p, u, rule));
    return tokens;
  };
  exam.expect_equal(
      "the list of tokens", actual, with({}),
      {{with({.at_border = true}),
        "Right but where a sum is u exactly. The sum must be greater than u: u = 0 must not draw a "
        "token of probability 0."},
       {with({.without_last = true}),
        "The last token is never drawn: does the loop end too early?"},
       {with({.ends_at_last = true}),
        "Where rounding has left the sum at u or below, the last token of the vocabulary is not "
        "the answer if its probability is 0: the last one that could have been drawn is."},
       {with({.next = true}), "It is the token that takes the sum past u, not the one behind it."},
       {with({.each_alone = true}),
        "You compare u with each probability alone. It is their running sum that has to pass u."},
       {with({.sorted = true}),
        "You lay the shares side by side likeliest first. They lie in the order of the vocabulary, "
        "so the draw needs no sort."},
       {with({.likeliest = true}), "This is always the likeliest token; u decides nothing."}});
}

void examine_draw(Exam& exam) {
  const double most = 1 - 0x1.0p-53;
  expect_drawn(exam, "V=4: 0.125, 0.5, 0.125, 0.25", {0.125, 0.5, 0.125, 0.25},
               {0.3, 0.0, 0.1, 0.62, 0.7, 0.74, 0.76, 0.99, most});
  expect_drawn(exam, "V=4: 0.125, 0.5, 0.125, 0.25", {0.125, 0.5, 0.125, 0.25},
               {0.125, 0.625, 0.75});
  expect_drawn(exam, "V=1: 1", {1}, {0.0, 0.5, most});
  expect_drawn(exam, "V=6: 0, 0, 0.5, 0, 0.5, 0", {0, 0, 0.5, 0, 0.5, 0},
               {0.0, 0.25, 0.4999, 0.5, 0.75, most});
  // Sums that fall short of 1, as rounding may leave them.
  expect_drawn(exam, "V=5: 0.25, 0, 0.75 - 1e-9, 0, 0", {0.25, 0, 0.75 - 1e-9, 0, 0},
               {most, 1 - 1e-10, 0.9});
  const Values p = softmax(random_values(257, 5, 2.0));
  std::vector<double> us;
  double sum = 0;
  for (const double share : p) {
    us.push_back(sum + 0.37 * share);
    sum += share;
  }
  expect_drawn(exam, "V=257", p, us);
}

}  // namespace

std::vector<Task> tasks() {
  return {{"14.sample_temperature",
           [](Exam& exam) {
             examine_temperature(exam);
             examine_masked(exam);
             examine_zero(exam);
           }},
          {"14.sample_top_k", examine_top_k},
          {"14.sample_top_p", examine_top_p},
          {"14.draw_token", examine_draw}};
}

}  // namespace tinygpt::lessons
