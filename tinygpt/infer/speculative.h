// Speculative decoding: a small model drafts some tokens, the large one reads them all in one pass,
// and keeps as many as leave its own distribution unchanged.
// Leviathan, Kalman, Matias: "Fast Inference from Transformers via Speculative Decoding" (2023).
// Chen et al.: "Accelerating Large Language Model Decoding with Speculative Sampling" (2023).
#pragma once

#include <span>
#include <vector>

#include "solutions/23-kv-cache/speculative.h"
#include "tinygpt/infer/generate.h"

namespace tinygpt {

struct SpeculativeSettings {
  int draft_tokens = 4;  // K: drafted before the large model reads them
  ref::SpeculativeAccept* accept = ref::speculative_accept;  // tests plant wrong ones
};

// Continues `prompt` as generate does with `target` alone: the tokens are distributed the same,
// and with temperature 0 they are the same. Temperature, top-k and top-p shape both distributions.
//
// Both engines need a sequence that starts empty, the same capacity and vocabulary; the target
// needs K + 1 rows of logits. Throws Error otherwise.
template <class Real>
std::vector<int> generate_speculative(Engine<Real>& target, int sequence, Engine<Real>& draft,
                                      int draft_sequence, std::span<const int> prompt,
                                      const GenerateSettings& settings,
                                      const SpeculativeSettings& speculative,
                                      const OnToken& on_token = {}, Timing* timing = nullptr);

}  // namespace tinygpt
