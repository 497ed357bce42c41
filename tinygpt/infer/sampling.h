// From logits to the next token.
#pragma once

#include <span>
#include <vector>

#include "tinygpt/core/random.h"

namespace tinygpt {

struct SamplingSettings {
  float temperature = 0.8f;  // divides the logits; 0: always the likeliest token
  int top_k = 0;             // keep the k likeliest tokens; 0: all
  float top_p = 1.0f;  // keep the likeliest tokens that hold this probability together; 1: all
};

// Throws Error, naming the option, on a value out of range.
void check_sampling(const SamplingSettings& settings);

// Draws a token. Temperature first, then top-k, then top-p on what is left, and what remains shares
// the probability in proportion. Top-p keeps the token that crosses the threshold, so at least one
// always remains. Holtzman et al.: "The Curious Case of Neural Text Degeneration" (2019),
// section 3.
//
// Equal logits are ordered by token id, so that the result depends on the random state alone. With
// temperature 0 no random number is drawn. Throws Error when a logit is NaN or the largest
// infinite; a logit of minus infinity is a token that is never drawn.
int sample_token(std::span<const float> logits, const SamplingSettings& settings, Random& random);

}  // namespace tinygpt
