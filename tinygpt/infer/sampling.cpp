#include "tinygpt/infer/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

struct Candidate {
  int token;
  double weight;  // not yet divided by the sum
};

// The likeliest token: the first of equals.
int argmax(std::span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// The candidates that hold the share top_p of the weight, including the one that crosses it. They
// come sorted, likeliest first.
void cut_top_p(std::vector<Candidate>& candidates, double top_p) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.weight;
  double held = 0;
  std::size_t kept = 0;
  while (kept < candidates.size() && held < top_p * sum) held += candidates[kept++].weight;
  candidates.resize(std::max<std::size_t>(kept, 1));
}

}  // namespace

void check_sampling(const SamplingSettings& s) {
  check(s.temperature >= 0 && s.temperature <= 100, [&] {
    return fmt::format("--temperature is {}: it must be between 0 and 100", s.temperature);
  });
  check(s.top_k >= 0,
        [&] { return fmt::format("--top-k is {}: it must be at least 0 (0: all)", s.top_k); });
  check(s.top_p > 0 && s.top_p <= 1, [&] {
    return fmt::format("--top-p is {}: it must be greater than 0 and at most 1", s.top_p);
  });
}

int sample_token(std::span<const float> logits, const SamplingSettings& settings, Random& random) {
  check(!logits.empty(), "sampling: there are no logits");
  for (const float logit : logits) {
    check(!std::isnan(logit), "sampling: a logit is NaN: the model's weights are broken");
  }
  const int likeliest = argmax(logits);
  check(std::isfinite(logits[static_cast<std::size_t>(likeliest)]),
        "sampling: the largest logit is infinite: the model's weights are broken");
  if (settings.temperature == 0) return likeliest;
  const double largest = logits[static_cast<std::size_t>(likeliest)];
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const double weight = std::exp((logits[v] - largest) / settings.temperature);
    candidates.push_back({static_cast<int>(v), weight});
  }
  const bool cut_k = settings.top_k > 0 && static_cast<std::size_t>(settings.top_k) < logits.size();
  if (cut_k || settings.top_p < 1) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });
    if (cut_k) candidates.resize(static_cast<std::size_t>(settings.top_k));
    if (settings.top_p < 1) cut_top_p(candidates, settings.top_p);
  }
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.weight;
  double x = random.uniform() * sum;
  for (const Candidate& c : candidates) {
    x -= c.weight;
    if (x < 0) return c.token;
  }
  // Rounding left a rest: the last token that could have been drawn.
  for (std::size_t i = candidates.size(); i-- > 1;) {
    if (candidates[i].weight > 0) return candidates[i].token;
  }
  return candidates[0].token;
}

}  // namespace tinygpt
