// Text over the engine's cache.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/generate.h"

namespace tinygpt {
namespace {

constexpr std::uint64_t kSamplingStream = 3;  // as in generate.cpp: the same seed, the same text

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check_settings(const GenerateSettings& s) {
  check(s.max_tokens >= 0, "--max-tokens: must be at least 0");
  check_sampling(s.sampling);
}

// The end of `prompt` that fits a sequence, and room for it.
template <class Real>
std::span<const int> fit_prompt(Engine<Real>& e, int sequence, std::span<const int> prompt,
                                ContextEnd context_end) {
  check(!prompt.empty(), "generate: the prompt is empty: give at least one token");
  const auto capacity = static_cast<std::size_t>(e.settings.capacity);
  if (prompt.size() > capacity && context_end == ContextEnd::slide) {
    truncate(e, sequence, 0);
    return prompt.last(capacity);
  }
  const auto count = static_cast<int>(std::min<std::size_t>(prompt.size(), capacity + 1));
  make_room(e, sequence, count, context_end);
  return prompt;
}

}  // namespace

void add(Timing& to, const Timing& from) {
  to.prefill += from.prefill;
  to.decode += from.decode;
  to.prompt_tokens += from.prompt_tokens;
  to.later_tokens += from.later_tokens;
  to.drafted += from.drafted;
  to.accepted += from.accepted;
}

template <class Real>
int next_token(Engine<Real>& e, int row, const SamplingSettings& s, Random& random,
               Shares& shares) {
  const ModelWeights<Real>& w = e.weights;
  if (w.ops.sample_token == nullptr || s.top_k != 0 || s.top_p != 1) {
    return sample_token(logits_of(e, row), s, random, shares);
  }
  // On the device: one number is copied to the host instead of V.
  const double u = s.temperature == 0 ? 0.0 : random.uniform();
  const int V = w.config.vocab_size;
  w.ops.sample_token(e.buffers.drawn, e.buffers.logits + std::int64_t{row} * V, V, s.temperature,
                     u);
  int token = 0;
  w.memory.copy_out(&token, e.buffers.drawn, sizeof(token));
  check(token >= 0,
        "sampling: a logit is NaN, or the largest infinite: the model's weights are broken");
  return token;
}

template <class Real>
void make_room(Engine<Real>& e, int sequence, int count, ContextEnd context_end) {
  const std::span<const int> tokens = tokens_of(e, sequence);
  const int capacity = e.settings.capacity, length = static_cast<int>(tokens.size());
  if (length + count <= capacity) return;
  check(context_end == ContextEnd::slide, [&] {
    return fmt::format(
        "the text has {} tokens, and {} more do not fit the context of {}: a shorter prompt, or "
        "--context slide, which forgets the oldest half",
        length, count, capacity);
  });
  check(count <= capacity,
        [&] { return fmt::format("{} tokens do not fit a context of {}", count, capacity); });
  // Together with the new ones half of the capacity, so that there is room again for a while.
  const int kept = std::clamp(capacity / 2 - count, 0, capacity - count);
  const std::vector<int> rest(tokens.end() - kept, tokens.end());
  truncate(e, sequence, 0);
  if (kept == 0) return;
  const SequenceInput input{sequence, rest, WantLogits::none};
  run<Real>(e, {&input, 1});
}

template <class Real>
std::vector<int> generate(Engine<Real>& e, int sequence, std::span<const int> prompt,
                          const GenerateSettings& settings, const OnToken& on_token,
                          Timing* timing) {
  check_settings(settings);
  Random random{settings.seed, 0, kSamplingStream};
  Shares shares;
  std::vector<int> text;
  Timing t;
  const auto start = Clock::now();
  std::span<const int> next = fit_prompt(e, sequence, prompt, settings.context_end);
  t.prompt_tokens = static_cast<std::int64_t>(next.size());
  text.reserve(static_cast<std::size_t>(std::min(settings.max_tokens, e.settings.capacity)));
  for (int i = 0; i < settings.max_tokens; ++i) {
    const int capacity = e.settings.capacity;
    const auto length = static_cast<int>(tokens_of(e, sequence).size());
    if (settings.context_end == ContextEnd::stop && length == capacity) break;
    if (i > 0) make_room(e, sequence, 1, settings.context_end);
    const SequenceInput input{sequence, next};
    run<Real>(e, {&input, 1});
    const int token = next_token(e, 0, settings.sampling, random, shares);
    if (i == 0) t.prefill = seconds_since(start);
    else t.later_tokens += 1;
    if (token == settings.stop_token) break;
    text.push_back(token);
    if (on_token && !on_token(token)) break;
    next = std::span<const int>(&text.back(), 1);
  }
  t.decode = seconds_since(start) - t.prefill;
  if (timing != nullptr) *timing = t;
  return text;
}

template <class Real>
std::vector<std::vector<int>> generate_together(
    Engine<Real>& e, std::span<const TextStart> texts, const GenerateSettings& settings,
    const std::function<bool(int text, int token)>& on_token, Timing* timing) {
  check_settings(settings);
  struct Writer {
    int sequence;
    Random random;
    std::vector<int> text{};
    std::vector<int> next{};
    bool ended = false;
  };
  Timing t;
  const auto start = Clock::now();
  Shares shares;
  std::vector<Writer> writers;
  for (const TextStart& text : texts) {
    Writer w{add_sequence(e), Random{text.seed, 0, kSamplingStream}};
    const auto fitted = fit_prompt(e, w.sequence, text.prompt, settings.context_end);
    w.next.assign(fitted.begin(), fitted.end());
    t.prompt_tokens += static_cast<std::int64_t>(fitted.size());
    writers.push_back(std::move(w));
  }
  std::vector<SequenceInput> inputs;
  std::vector<int> running;
  for (int i = 0; i < settings.max_tokens; ++i) {
    inputs.clear();
    running.clear();
    for (std::size_t k = 0; k < writers.size(); ++k) {
      Writer& w = writers[k];
      const bool full = static_cast<int>(tokens_of(e, w.sequence).size()) == e.settings.capacity;
      if (settings.context_end == ContextEnd::stop && full) w.ended = true;
      if (w.ended) continue;
      if (i > 0) make_room(e, w.sequence, 1, settings.context_end);
      inputs.push_back({w.sequence, w.next});
      running.push_back(static_cast<int>(k));
    }
    if (running.empty()) break;
    run<Real>(e, inputs);
    for (std::size_t row = 0; row < running.size(); ++row) {
      const int k = running[row];
      Writer& w = writers[static_cast<std::size_t>(k)];
      const int token = next_token(e, static_cast<int>(row), settings.sampling, w.random, shares);
      if (i > 0) t.later_tokens += 1;
      w.next.assign(1, token);
      w.ended = token == settings.stop_token;
      if (w.ended) continue;
      w.text.push_back(token);
      if (on_token && !on_token(k, token)) w.ended = true;
    }
    if (i == 0) t.prefill = seconds_since(start);
  }
  t.decode = seconds_since(start) - t.prefill;
  if (timing != nullptr) *timing = t;
  std::vector<std::vector<int>> written;
  for (Writer& w : writers) {
    remove_sequence(e, w.sequence);
    written.push_back(std::move(w.text));
  }
  return written;
}

#define TINYGPT_INSTANTIATE(Real)                                                         \
  template int next_token(Engine<Real>&, int, const SamplingSettings&, Random&, Shares&); \
  template void make_room(Engine<Real>&, int, int, ContextEnd);                           \
  template std::vector<int> generate(Engine<Real>&, int, std::span<const int>,            \
                                     const GenerateSettings&, const OnToken&, Timing*);   \
  template std::vector<std::vector<int>> generate_together(                               \
      Engine<Real>&, std::span<const TextStart>, const GenerateSettings&,                 \
      const std::function<bool(int, int)>&, Timing*);
TINYGPT_INSTANTIATE(float)
TINYGPT_INSTANTIATE(Bfloat16)
#undef TINYGPT_INSTANTIATE

}  // namespace tinygpt
