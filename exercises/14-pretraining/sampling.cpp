#include "exercises/14-pretraining/sampling.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace tinygpt::mine {

std::vector<int> likeliest_first(std::span<const double> probabilities) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int a, int b) {
    return probabilities[static_cast<std::size_t>(a)] > probabilities[static_cast<std::size_t>(b)];
  });
  return order;
}

// probabilities[v] = exp(logits[v] / temperature) / sum_w exp(logits[w] / temperature)
//
// Temperature 0: 1 for the largest logit (of equals, the first), 0 for the others. Logits may be
// too large for exp, or minus infinity.
void sample_temperature(std::span<double> probabilities, std::span<const float> logits,
                        float temperature) {
  // your code: 14.sample_temperature
  throw NotImplemented("14.sample_temperature");
  // end of your code
}

// The k likeliest keep their probability, of equals those that come first; the others get 0. What
// remains is divided by its sum. k = 0 and k >= V keep all. likeliest_first sorts.
void sample_top_k(std::span<double> probabilities, int k) {
  // your code: 14.sample_top_k
  throw NotImplemented("14.sample_top_k");
  // end of your code
}

// Likeliest first, tokens are kept until their sum is p or more; the token that takes it there is
// the last one kept. The others get 0, and what remains is divided by its sum. p = 1 keeps all.
void sample_top_p(std::span<double> probabilities, double p) {
  // your code: 14.sample_top_p
  throw NotImplemented("14.sample_top_p");
  // end of your code
}

// The smallest v with probabilities[0] + ... + probabilities[v] > u; where rounding leaves none,
// the last token whose probability is not 0.
int draw_token(std::span<const double> probabilities, double u) {
  // your code: 14.draw_token
  throw NotImplemented("14.draw_token");
  // end of your code
}

}  // namespace tinygpt::mine
