// Lesson 04: the simplest language model, a table of which token follows which.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// Counts pairs of neighbours in the training part of a text, and turns each row of counts into
// probabilities:
//
//   count[v, w]             how often w follows v within tokens[0 .. train_size - 1]
//   log_probabilities[v, w] = log((count[v, w] + smoothing) / (sum_u count[v, u] + smoothing * V))
//
// log_probabilities [V, V]  written; row v: what may follow v, column w: that it is w
// tokens [n]                each in 0 .. V-1; only the first train_size may be looked at
// train_size                0 <= train_size <= n
// smoothing                 > 0: what every pair is counted in advance, so that none is impossible
void bigram_fit(float* log_probabilities, const int* tokens, std::int64_t train_size, int V,
                float smoothing);

// The mean loss of the table on pairs first .. last of neighbours, in nats a token:
// pair i is (tokens[i], tokens[i + 1]). Perplexity is exp of it.
double bigram_loss(const float* log_probabilities, const int* tokens, std::int64_t first,
                   std::int64_t last, int V);

}  // namespace tinygpt::mine
