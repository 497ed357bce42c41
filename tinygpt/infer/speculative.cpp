#include "tinygpt/infer/speculative.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// Two streams of random numbers, apart from each other and from generate's: what the draft draws
// must know nothing of what decides about it.
constexpr std::uint64_t kDraftStream = 4, kDecisionStream = 5;

using Clock = std::chrono::steady_clock;

// Shares as one probability for each token of the vocabulary.
void spread(std::vector<double>& probabilities, const Shares& s) {
  if (!s.tokens.empty()) std::fill(probabilities.begin(), probabilities.end(), 0.0);
  for (std::size_t i = 0; i < s.weights.size(); ++i) {
    const std::size_t v = s.tokens.empty() ? i : static_cast<std::size_t>(s.tokens[i]);
    probabilities[v] = s.weights[i] / s.sum;
  }
}

template <class Real>
struct Speculation {
  Engine<Real>& target;
  Engine<Real>& draft;
  int sequence, draft_sequence;
  const GenerateSettings& settings;
  const SpeculativeSettings& speculative;
  Random draft_random, decision;
  Shares shares{};
  std::vector<int> pending{};            // of the text, not yet in the target's cache
  std::vector<int> drafted{};            // [k]
  std::vector<std::vector<double>> q{};  // [K, V]
  std::vector<double> p{};               // [V]
  std::vector<int> input{};
};

// What the draft does not have of the text, after it has forgotten what is not of the text: tokens
// that were not accepted, or the beginning, where the target's window has slid.
template <class Real>
void catch_up(Speculation<Real>& s) {
  const std::span<const int> cached = tokens_of(s.target, s.sequence);
  const std::span<const int> known = tokens_of(s.draft, s.draft_sequence);
  const std::size_t length = cached.size() + s.pending.size();
  const auto text = [&](std::size_t i) {
    return i < cached.size() ? cached[i] : s.pending[i - cached.size()];
  };
  std::size_t same = 0;
  // At least one token is left to run: its logits are the first draft's.
  while (same < known.size() && same + 1 < length && known[same] == text(same)) ++same;
  truncate(s.draft, s.draft_sequence, static_cast<int>(same));
  s.input.clear();
  for (std::size_t i = same; i < length; ++i) s.input.push_back(text(i));
}

// Draws `count` tokens from the draft model; leaves their distributions in s.q.
template <class Real>
void draw_draft(Speculation<Real>& s, int count) {
  catch_up(s);
  s.drafted.clear();
  for (int i = 0; i < count; ++i) {
    const SequenceInput input{s.draft_sequence, s.input};
    run<Real>(s.draft, {&input, 1});
    make_shares(s.shares, logits_of(s.draft, 0), s.settings.sampling);
    spread(s.q[static_cast<std::size_t>(i)], s.shares);
    s.drafted.push_back(draw(s.shares, s.draft_random.uniform()));
    s.input.assign(1, s.drafted.back());
  }
}

// The target reads pending and drafted tokens in one pass; the tokens that stand are appended to
// `stand`: one at least, one more than was drafted at most.
template <class Real>
void decide(Speculation<Real>& s, std::vector<int>& stand) {
  const auto before = tokens_of(s.target, s.sequence).size() + s.pending.size();
  // All but the last pending token need no logits.
  if (s.pending.size() > 1) {
    const SequenceInput prompt{s.sequence, std::span(s.pending).first(s.pending.size() - 1),
                               WantLogits::none};
    run<Real>(s.target, {&prompt, 1});
  }
  s.input.assign(1, s.pending.back());
  s.input.insert(s.input.end(), s.drafted.begin(), s.drafted.end());
  const SequenceInput input{s.sequence, s.input, WantLogits::all};
  run<Real>(s.target, {&input, 1});
  for (std::size_t i = 0; i <= s.drafted.size(); ++i) {
    make_shares(s.shares, logits_of(s.target, static_cast<int>(i)), s.settings.sampling);
    if (i == s.drafted.size()) {  // all stand: one more comes for nothing
      stand.push_back(draw(s.shares, s.decision.uniform()));
      return;
    }
    spread(s.p, s.shares);
    const double u = s.decision.uniform(), v = s.decision.uniform();
    const int token = s.speculative.accept(s.p, s.q[i], s.drafted[i], u, v);
    stand.push_back(token);
    if (token == s.drafted[i]) continue;
    // The target has read tokens that do not stand.
    truncate(s.target, s.sequence, static_cast<int>(before + i));
    return;
  }
}

template <class Real>
void check_engines(const Engine<Real>& target, int sequence, const Engine<Real>& draft,
                   int draft_sequence, const SpeculativeSettings& speculative) {
  const GptConfig &t = target.weights.config, &d = draft.weights.config;
  check(t.vocab_size == d.vocab_size, [&] {
    return fmt::format(
        "--draft: the draft model knows {} tokens and the model {}: it must have "
        "the same tokenizer",
        d.vocab_size, t.vocab_size);
  });
  check(speculative.draft_tokens >= 1 && speculative.draft_tokens < target.settings.logit_rows,
        [&] {
          return fmt::format("--draft-tokens is {}: it must be between 1 and {}",
                             speculative.draft_tokens, target.settings.logit_rows - 1);
        });
  check(target.settings.capacity == draft.settings.capacity,
        "speculative decoding: both engines must have the same capacity");
  check(tokens_of(target, sequence).empty() && tokens_of(draft, draft_sequence).empty(),
        "speculative decoding: both sequences must be empty");
}

}  // namespace

template <class Real>
std::vector<int> generate_speculative(Engine<Real>& target, int sequence, Engine<Real>& draft,
                                      int draft_sequence, std::span<const int> prompt,
                                      const GenerateSettings& settings,
                                      const SpeculativeSettings& speculative,
                                      const OnToken& on_token, Timing* timing) {
  check_engines(target, sequence, draft, draft_sequence, speculative);
  check_sampling(settings.sampling);
  Speculation<Real> s{target,
                      draft,
                      sequence,
                      draft_sequence,
                      settings,
                      speculative,
                      Random{settings.seed, 0, kDraftStream},
                      Random{settings.seed, 0, kDecisionStream}};
  const auto V = static_cast<std::size_t>(target.weights.config.vocab_size);
  s.q.assign(static_cast<std::size_t>(speculative.draft_tokens), std::vector<double>(V));
  s.p.resize(V);
  const auto start = Clock::now();
  const auto fitted = fit_prompt(target, sequence, prompt, settings.context_end);
  s.pending.assign(fitted.begin(), fitted.end());
  Timing t;
  t.prompt_tokens = static_cast<std::int64_t>(fitted.size());
  std::vector<int> text, stand;
  const int capacity = target.settings.capacity;
  for (bool first = true, ended = false; !ended; first = false) {
    const int left = settings.max_tokens - static_cast<int>(text.size());
    if (left <= 0) break;
    const auto length = static_cast<int>(tokens_of(target, sequence).size());
    const int count = static_cast<int>(s.pending.size());
    if (length + count > capacity) {
      if (settings.context_end == ContextEnd::stop) break;
      make_room(target, sequence, count, settings.context_end);
    }
    const int room = capacity - static_cast<int>(tokens_of(target, sequence).size()) - count;
    draw_draft(s, std::min({speculative.draft_tokens, room, left - 1}));
    stand.clear();
    decide(s, stand);
    t.drafted += static_cast<std::int64_t>(s.drafted.size());
    t.accepted += static_cast<std::int64_t>(stand.size()) - 1;
    if (first) t.prefill = std::chrono::duration<double>(Clock::now() - start).count();
    else t.later_tokens += static_cast<std::int64_t>(stand.size());
    s.pending.assign(1, stand.back());
    for (const int token : stand) {
      ended = ended || token == settings.stop_token;
      if (ended) break;
      text.push_back(token);
      ended = on_token && !on_token(token);
    }
  }
  t.decode = std::chrono::duration<double>(Clock::now() - start).count() - t.prefill;
  if (timing != nullptr) *timing = t;
  return text;
}

#define TINYGPT_INSTANTIATE(Real)                                                            \
  template std::vector<int> generate_speculative(                                            \
      Engine<Real>&, int, Engine<Real>&, int, std::span<const int>, const GenerateSettings&, \
      const SpeculativeSettings&, const OnToken&, Timing*);
TINYGPT_INSTANTIATE(float)
TINYGPT_INSTANTIATE(Bfloat16)
#undef TINYGPT_INSTANTIATE

}  // namespace tinygpt
