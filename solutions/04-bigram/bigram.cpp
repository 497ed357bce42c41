#include "solutions/04-bigram/bigram.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tinygpt::ref {

// log_probabilities[v, w] = log((count[v, w] + smoothing) / (sum_u count[v, u] + smoothing * V))
//
// log_probabilities [V, V]: row v is the token that is there, column w the one that follows.
// Only tokens[0 .. train_size - 1] may be looked at: the rest is for validation.
void bigram_fit(float* log_probabilities, const int* tokens, std::int64_t train_size, int V,
                float smoothing) {
  // your code: 04.bigram_fit
  float* count = log_probabilities;  // counted in place: up to 2^24, floats count exactly
  std::fill_n(count, std::int64_t{V} * V, 0.0f);
  for (std::int64_t i = 0; i + 1 < train_size; ++i) {
    count[std::int64_t{tokens[i]} * V + tokens[i + 1]] += 1.0f;
  }
  for (int v = 0; v < V; ++v) {
    float* row = count + std::int64_t{v} * V;
    double sum = double{smoothing} * V;
    for (int w = 0; w < V; ++w) sum += row[w];
    for (int w = 0; w < V; ++w) row[w] = static_cast<float>(std::log((row[w] + smoothing) / sum));
  }
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

}  // namespace tinygpt::ref
