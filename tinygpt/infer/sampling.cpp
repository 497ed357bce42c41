#include "tinygpt/infer/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "solutions/14-pretraining/sampling.h"
#include "tinygpt/core/error.h"

namespace tinygpt {

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
  check(std::isfinite(*std::ranges::max_element(logits)),
        "sampling: the largest logit is infinite: the model's weights are broken");
  std::vector<double> probabilities(logits.size());
  ref::sample_temperature(probabilities, logits, settings.temperature);
  if (settings.temperature == 0) return ref::draw_token(probabilities, 0.0);
  ref::sample_top_k(probabilities, settings.top_k);
  ref::sample_top_p(probabilities, settings.top_p);
  return ref::draw_token(probabilities, random.uniform());
}

}  // namespace tinygpt
