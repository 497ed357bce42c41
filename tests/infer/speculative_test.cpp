// Speculative decoding leaves the target's distribution as it is.
#include "tinygpt/infer/speculative.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/infer/engine_models.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

constexpr int kLength = 3;  // tokens of a text whose distribution is tested

GptConfig tiny(int layers) {
  GptConfig c;
  c.vocab_size = 5;
  c.context_length = 12;
  c.layers = layers;
  c.heads = c.kv_heads = 2;
  c.width = 8;
  c.hidden = 12;
  return c;
}

struct Pair {
  Gpt<float> target, draft;
  Engine<float> engine, draft_engine;
};

// Two models that disagree: different depth, different weights.
Pair make_pair(int draft_tokens) {
  const Implementation cpu = implementations()[1];
  Pair p{model_on(cpu, tiny(2), 1, 10), model_on(cpu, tiny(1), 1, 12), {}, {}};
  p.engine = make_engine(weights_of(p.target), {.logit_rows = draft_tokens + 1});
  p.draft_engine = make_engine(weights_of(p.draft), {});
  return p;
}

std::vector<int> write(Pair& p, const GenerateSettings& settings, const SpeculativeSettings& how,
                       std::vector<int> prompt = {1, 2}, Timing* timing = nullptr) {
  const int a = add_sequence(p.engine), b = add_sequence(p.draft_engine);
  const auto text = generate_speculative<float>(p.engine, a, p.draft_engine, b, prompt, settings,
                                                how, {}, timing);
  remove_sequence(p.engine, a);
  remove_sequence(p.draft_engine, b);
  return text;
}

// The probability of every text of kLength tokens after the prompt, from the model itself.
std::vector<double> exact_distribution(Gpt<float>& model, const SamplingSettings& sampling) {
  const int V = model.config.vocab_size;
  std::vector<double> all(static_cast<std::size_t>(std::pow(V, kLength)), 1.0);
  for (std::size_t text = 0; text < all.size(); ++text) {
    std::vector<int> tokens = {1, 2};
    std::size_t rest = text;
    for (int i = 0; i < kLength; ++i, rest /= static_cast<std::size_t>(V)) {
      forward(model, tokens, {}, 1, static_cast<int>(tokens.size()));
      std::vector<float> logits(static_cast<std::size_t>(V));
      copy_last_logits(model, 0, std::span<float>(logits));
      Shares shares;
      make_shares(shares, logits, sampling);
      const int next = static_cast<int>(rest % static_cast<std::size_t>(V));
      double p = 0;
      for (std::size_t k = 0; k < shares.weights.size(); ++k) {
        const int token = shares.tokens.empty() ? static_cast<int>(k) : shares.tokens[k];
        if (token == next) p = shares.weights[k] / shares.sum;
      }
      all[text] *= p;
      tokens.push_back(next);
    }
  }
  return all;
}

// Pearson's statistic, less its mean, in standard deviations, once the rare texts are one cell:
// above 5, chance is no explanation (below 1e-5 even for the skewed tail of chi-square).
double surprise(const std::vector<int>& counts, const std::vector<double>& probabilities, int n) {
  double statistic = 0, rare = 0;
  int cells = 0, rare_count = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = n * probabilities[i];
    if (expected < 8) {
      rare += expected;
      rare_count += counts[i];
      continue;
    }
    statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++cells;
  }
  if (rare >= 8) {
    statistic += (rare_count - rare) * (rare_count - rare) / rare;
    ++cells;
  } else if (rare_count > 8 * rare + 20) {
    return 1e9;  // texts that cannot be
  }
  return (statistic - (cells - 1)) / std::sqrt(2.0 * (cells - 1));
}

double surprise_of(ref::SpeculativeAccept* rule, const SamplingSettings& sampling, int draft_tokens,
                   int n) {
  Pair p = make_pair(draft_tokens);
  const std::vector<double> probabilities = exact_distribution(p.target, sampling);
  std::vector<int> counts(probabilities.size());
  for (int i = 0; i < n; ++i) {
    GenerateSettings s{.sampling = sampling, .max_tokens = kLength};
    s.seed = static_cast<std::uint64_t>(i) + 1;
    const std::vector<int> text = write(p, s, {.draft_tokens = draft_tokens, .accept = rule});
    std::size_t index = 0;
    for (int k = kLength - 1; k >= 0; --k) {
      index = index * 5 + static_cast<std::size_t>(text[static_cast<std::size_t>(k)]);
    }
    counts[index] += 1;
  }
  return surprise(counts, probabilities, n);
}

// Rules that look right.
int always(std::span<const double>, std::span<const double>, int token, double, double) {
  return token;
}

int drawn_from(std::span<const double> p, double v) {
  double before = 0;
  for (std::size_t w = 0; w < p.size(); ++w) {
    before += p[w];
    if (before > v) return static_cast<int>(w);
  }
  return static_cast<int>(p.size()) - 1;
}

// The other token from p, not from what is missing.
int from_target(std::span<const double> p, std::span<const double> q, int token, double u,
                double v) {
  const auto i = static_cast<std::size_t>(token);
  return u * q[i] < p[i] ? token : drawn_from(p, v);
}

// Accepts whenever the target likes the token a quarter as much.
int lenient(std::span<const double> p, std::span<const double> q, int token, double u, double v) {
  const auto i = static_cast<std::size_t>(token);
  return 4 * p[i] >= q[i] ? token : ref::speculative_accept(p, q, token, u, v);
}

// The acceptance that forgets what the draft's probability was.
int without_q(std::span<const double> p, std::span<const double>, int token, double u, double v) {
  return u < p[static_cast<std::size_t>(token)] ? token : drawn_from(p, v);
}

}  // namespace

TEST_CASE("drafted texts are distributed as the target's own", "[speculative][lesson-23]") {
  const int n = 4000;
  for (const int draft_tokens : {1, 2, 4}) {
    for (const SamplingSettings& sampling :
         {SamplingSettings{.temperature = 1}, SamplingSettings{.temperature = 0.7f, .top_k = 3},
          SamplingSettings{.temperature = 1.3f, .top_p = 0.8f}}) {
      INFO(draft_tokens << " drafted, temperature " << sampling.temperature);
      CHECK(surprise_of(ref::speculative_accept, sampling, draft_tokens, n) < 5);
    }
  }
}

TEST_CASE("a wrong rule changes the distribution, and the test notices", "[speculative]") {
  const SamplingSettings sampling{.temperature = 1};
  for (ref::SpeculativeAccept* rule : {always, from_target, lenient, without_q}) {
    CHECK(surprise_of(rule, sampling, 2, 4000) > 8);
  }
}

TEST_CASE("greedy drafts write what the target writes alone", "[speculative][lesson-23]") {
  const Implementation cpu = implementations()[1];
  for (const int draft_tokens : {1, 3, 7}) {
    for (const ContextEnd end : {ContextEnd::slide, ContextEnd::stop}) {
      Pair p = make_pair(draft_tokens);
      GenerateSettings s{.sampling = {.temperature = 0}, .max_tokens = 40, .context_end = end};
      const int alone = add_sequence(p.engine);
      const auto expected = generate<float>(p.engine, alone, std::vector<int>{1, 2}, s);
      remove_sequence(p.engine, alone);
      Timing timing;
      CHECK(write(p, s, {.draft_tokens = draft_tokens}, {1, 2}, &timing) == expected);
      CHECK(timing.drafted > 0);
      CHECK(timing.accepted <= timing.drafted);
      // A stop token ends the text inside of what was drafted, too.
      s.stop_token = expected[4];
      const auto first = std::find(expected.begin(), expected.end(), expected[4]);
      CHECK(write(p, s, {.draft_tokens = draft_tokens}) ==
            std::vector<int>(expected.begin(), first));
    }
  }
}

TEST_CASE("a model that drafts for itself is always right", "[speculative]") {
  const Implementation cpu = implementations()[1];
  Pair p{model_on(cpu, tiny(2), 1, 15), model_on(cpu, tiny(2), 1, 15), {}, {}};
  p.engine = make_engine(weights_of(p.target), {.logit_rows = 5});
  p.draft_engine = make_engine(weights_of(p.draft), {});
  Timing timing;
  const GenerateSettings s{.sampling = {.temperature = 1}, .max_tokens = 9};
  write(p, s, {.draft_tokens = 4}, {1, 2}, &timing);
  // But for rounding: four tokens and one token are different products.
  CHECK(timing.accepted >= timing.drafted - 1);
}

TEST_CASE("engines that do not belong together are refused", "[speculative]") {
  const Implementation cpu = implementations()[1];
  GptConfig other = tiny(1);
  other.vocab_size = 6;
  Gpt<float> target = model_on(cpu, tiny(1), 1), draft = model_on(cpu, other, 1);
  Engine<float> a = make_engine(weights_of(target), {.logit_rows = 3});
  Engine<float> b = make_engine(weights_of(draft), {});
  Engine<float> c = make_engine(weights_of(target), {.capacity = 6});
  const int i = add_sequence(a), k = add_sequence(b), l = add_sequence(c);
  const std::vector<int> prompt = {1};
  CHECK_THROWS_AS(generate_speculative<float>(a, i, b, k, prompt, {}, {.draft_tokens = 2}), Error);
  CHECK_THROWS_AS(generate_speculative<float>(a, i, c, l, prompt, {}, {.draft_tokens = 2}), Error);
  CHECK_THROWS_AS(generate_speculative<float>(a, i, a, i, prompt, {}, {.draft_tokens = 3}), Error);
}
