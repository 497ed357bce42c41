#include "exercises/04-bigram/bigram.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::mine {

// log_probabilities[v, w] = log((count[v, w] + smoothing) / (sum_u count[v, u] + smoothing * V))
//
// log_probabilities [V, V]: row v is the token that is there, column w the one that follows.
// Only tokens[0 .. train_size - 1] may be looked at: the rest is for validation.
void bigram_fit(float* log_probabilities, const int* tokens, std::int64_t train_size, int V,
                float smoothing) {
  // your code: 04.bigram_fit
  throw NotImplemented("04.bigram_fit");
  // end of your code
}

double bigram_loss(const float* log_probabilities, const int* tokens, std::int64_t first,
                   std::int64_t last, int V) {
  double sum = 0.0;
  for (std::int64_t i = first; i <= last; ++i) {
    sum -= log_probabilities[std::int64_t{tokens[i]} * V + tokens[i + 1]];
  }
  return last < first ? 0.0 : sum / static_cast<double>(last - first + 1);
}

}  // namespace tinygpt::mine
