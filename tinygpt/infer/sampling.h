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

// The tokens that may be drawn and their shares, which sum to 1: temperature first, then top-k,
// then top-p on what is left, and what remains shares the probability in proportion. Top-p keeps
// the token that crosses the threshold, so at least one always remains. Equal logits are ordered by
// token id. Holtzman et al.: "The Curious Case of Neural Text Degeneration" (2019), section 3.
//
// Kept between calls, it allocates nothing after the first.
struct Shares {
  std::vector<int> tokens;     // in ascending order; empty: all of them, token v has weights[v]
  std::vector<float> weights;  // not divided by their sum
  double sum = 0;

  struct Candidate {
    float logit;
    int token;
  };
  std::vector<Candidate> candidates;  // room to work in
};

// Throws Error when a logit is NaN or the largest infinite; a logit of minus infinity is a token
// that is never drawn. With temperature 0 the likeliest token has it all.
void make_shares(Shares& shares, std::span<const float> logits, const SamplingSettings& settings);

// The token whose share of the line from 0 to 1 holds u, in [0, 1).
int draw(const Shares& shares, double u);

// make_shares and draw. With temperature 0 no random number is drawn. The result depends on logits
// and random state alone.
int sample_token(std::span<const float> logits, const SamplingSettings& settings, Random& random,
                 Shares& shares);
int sample_token(std::span<const float> logits, const SamplingSettings& settings, Random& random);

}  // namespace tinygpt
