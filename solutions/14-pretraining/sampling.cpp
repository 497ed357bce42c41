#include "solutions/14-pretraining/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace tinygpt::ref {

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
  const auto at = std::max_element(logits.begin(), logits.end());
  if (temperature == 0.0f) {
    std::ranges::fill(probabilities, 0.0);
    probabilities[static_cast<std::size_t>(at - logits.begin())] = 1.0;
    return;
  }
  const double largest = *at;
  double sum = 0.0;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    probabilities[v] = std::exp((logits[v] - largest) / temperature);
    sum += probabilities[v];
  }
  for (double& p : probabilities) p /= sum;
  // end of your code
}

// The k likeliest keep their probability, of equals those that come first; the others get 0. What
// remains is divided by its sum. k = 0 and k >= V keep all. likeliest_first sorts.
void sample_top_k(std::span<double> probabilities, int k) {
  // your code: 14.sample_top_k
  const auto kept = static_cast<std::size_t>(k);
  if (kept == 0 || kept >= probabilities.size()) return;
  const std::vector<int> order = likeliest_first(probabilities);
  double sum = 0.0;
  for (std::size_t i = 0; i < kept; ++i) sum += probabilities[static_cast<std::size_t>(order[i])];
  for (std::size_t i = 0; i < order.size(); ++i) {
    double& p = probabilities[static_cast<std::size_t>(order[i])];
    p = i < kept ? p / sum : 0.0;
  }
  // end of your code
}

// Likeliest first, tokens are kept until their sum is p or more; the token that takes it there is
// the last one kept. The others get 0, and what remains is divided by its sum. p = 1 keeps all.
void sample_top_p(std::span<double> probabilities, double p) {
  // your code: 14.sample_top_p
  if (p >= 1.0) return;  // the sum may round to 1 before the last token
  const std::vector<int> order = likeliest_first(probabilities);
  double held = 0.0;
  std::size_t kept = 0;
  while (kept < order.size() && held < p) {
    held += probabilities[static_cast<std::size_t>(order[kept])];
    ++kept;
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    double& of = probabilities[static_cast<std::size_t>(order[i])];
    of = i < kept ? of / held : 0.0;
  }
  // end of your code
}

// The smallest v with probabilities[0] + ... + probabilities[v] > u; where rounding leaves none,
// the last token whose probability is not 0.
int draw_token(std::span<const double> probabilities, double u) {
  // your code: 14.draw_token
  double sum = 0.0;
  int last = 0;
  for (std::size_t v = 0; v < probabilities.size(); ++v) {
    sum += probabilities[v];
    if (sum > u) return static_cast<int>(v);
    if (probabilities[v] > 0.0) last = static_cast<int>(v);
  }
  return last;
  // end of your code
}

}  // namespace tinygpt::ref
