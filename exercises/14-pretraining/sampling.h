// Lesson 14: from logits to the next token.
#pragma once

#include <span>
#include <vector>

namespace tinygpt::mine {

// The probabilities of V tokens from their logits, sharper or flatter than the model said:
//
//   probabilities[v] = exp(logits[v] / temperature) / sum_w exp(logits[w] / temperature)
//
// Temperature 0, and it alone, stands for its limit: 1 for the largest logit (of equals, the
// first), 0 for all others. Ackley, Hinton, Sejnowski: "A Learning Algorithm for Boltzmann
// Machines" (1985), section 2.
//
// probabilities [V]  written; they sum to 1
// logits        [V]  V >= 1; no NaN, the largest finite; minus infinity: never drawn
// temperature        at least 0
void sample_temperature(std::span<double> probabilities, std::span<const float> logits,
                        float temperature);

// Keeps the k likeliest tokens; of equals, those that come first. The others get 0, and what
// remains is divided by its sum. k = 0 and k >= V keep all.
// Fan, Lewis, Dauphin: "Hierarchical Neural Story Generation" (2018), section 5.4.
//
// probabilities [V]  in and out; they sum to 1 before and after
// k                  at least 0
void sample_top_k(std::span<double> probabilities, int k);

// Keeps as few of the likeliest tokens as hold the probability p together: likeliest first, up to
// and including the one that brings their sum to p. At least one remains. The others get 0, and
// what remains is divided by its sum. p = 1 keeps all.
// Holtzman et al.: "The Curious Case of Neural Text Degeneration" (2019), section 3.1.
//
// probabilities [V]  in and out; they sum to 1 before and after
// p                  greater than 0, at most 1
void sample_top_p(std::span<double> probabilities, double p);

// The token in whose share of the line from 0 to 1 the number u falls:
//
//   the smallest v with probabilities[0] + ... + probabilities[v] > u
//
// Where rounding has left their sum at u or below: the last token whose probability is not 0.
//
// probabilities [V]  V >= 1; they sum to 1
// u                  uniform in [0, 1)
int draw_token(std::span<const double> probabilities, double u);

// The tokens, likeliest first; of equals, the one that comes first.
std::vector<int> likeliest_first(std::span<const double> probabilities);

}  // namespace tinygpt::mine
