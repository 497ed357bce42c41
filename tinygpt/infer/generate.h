// Writing text: run the model, draw a token, append it, again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tinygpt/infer/engine.h"
#include "tinygpt/infer/sampling.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt {

// Where a text meets the end of the context: it ends there, or the oldest half is forgotten and it
// goes on (a window that slides in steps, so that not every token pays for it).
enum class ContextEnd { stop, slide };

struct GenerateSettings {
  SamplingSettings sampling;
  int max_tokens = 256;  // new tokens at most
  int stop_token = -1;   // ends the text and is not part of it; -1: none
  std::uint64_t seed = 1;
  ContextEnd context_end = ContextEnd::slide;
};

// Called with each new token; returning false ends the text.
using OnToken = std::function<bool(int token)>;

// Continues `prompt` (at least one token) and returns the new tokens, without a cache: what the
// engine's text is compared with, and what lesson 23 measures it against. A text that grows beyond
// the model's context slides.
//
// Works with a model of either purpose that has room for one sequence of its context. Each token
// costs a pass over the window so far.
//
// On a device that can draw a token itself (ops/sampling.h) one number a token comes back to the
// host, as long as all tokens may be drawn. With top-k or top-p the V logits do, for each token:
// the cut is made on the host alone.
template <class Real>
std::vector<int> generate(Gpt<Real>& model, std::span<const int> prompt,
                          const GenerateSettings& settings, const OnToken& on_token = {});

// The token after row `row` of the last pass's logits.
template <class Real>
int next_token(Engine<Real>& engine, int row, const SamplingSettings& settings, Random& random,
               Shares& shares);

// Makes the sequence ready for `count` more tokens: where they do not fit, it forgets the oldest
// half of the capacity and runs what is left once more (logits of which nobody asked for). Throws
// Error where `context_end` does not allow it.
template <class Real>
void make_room(Engine<Real>& engine, int sequence, int count, ContextEnd context_end);

// What a text costs, in seconds and tokens: reading the prompt, which gives the first new token,
// and each token after that.
struct Timing {
  double prefill = 0, decode = 0;
  std::int64_t prompt_tokens = 0, later_tokens = 0;
  std::int64_t drafted = 0, accepted = 0;  // with a draft model
};

void add(Timing& to, const Timing& from);

// Continues what the sequence has with `prompt` (at least one token) and then with new tokens, and
// returns these. All but the last of them are in the cache then. A text that is at the end of its
// context ends (ContextEnd::stop), or slides.
template <class Real>
std::vector<int> generate(Engine<Real>& engine, int sequence, std::span<const int> prompt,
                          const GenerateSettings& settings, const OnToken& on_token = {},
                          Timing* timing = nullptr);

// Texts side by side: each pass gives one token to each of them. `texts` have sequences of their
// own in the engine and seeds of their own; `on_token` gets a text's number with each token, and
// ends that text by returning false. Every text is what generate would write.
struct TextStart {
  std::span<const int> prompt;
  std::uint64_t seed = 1;
};
template <class Real>
std::vector<std::vector<int>> generate_together(
    Engine<Real>& engine, std::span<const TextStart> texts, const GenerateSettings& settings,
    const std::function<bool(int text, int token)>& on_token = {}, Timing* timing = nullptr);

}  // namespace tinygpt
