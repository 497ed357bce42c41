// Writing text: run the model, draw a token, append it, again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tinygpt/infer/sampling.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt {

struct GenerateSettings {
  SamplingSettings sampling;
  int max_tokens = 256;  // new tokens at most
  int stop_token = -1;   // ends the text and is not part of it; -1: none
  std::uint64_t seed = 1;
};

// Called with each new token; returning false ends the text.
using OnToken = std::function<bool(int token)>;

// Continues `prompt` (at least one token) and returns the new tokens. The text may grow beyond the
// model's context: then its oldest half is forgotten and it goes on (a window that slides in steps,
// so that not every token pays for it).
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

}  // namespace tinygpt
