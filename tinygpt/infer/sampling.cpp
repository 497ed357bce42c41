// Lesson 14's sampling at the price that a token may cost: no sorting of all tokens, exponentials
// of those alone that may be drawn, whole vectors at a time.
#include "tinygpt/infer/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt {
namespace {

using cpu::kLanes;
using cpu::Vec;

// Likelier first; of equals, the one that comes first.
bool likelier(const Shares::Candidate& a, const Shares::Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// The largest logit; checks them all.
float checked_largest(std::span<const float> logits) {
  check(!logits.empty(), "sampling: there are no logits");
  const auto n = static_cast<std::int64_t>(logits.size());
  Vec most = cpu::broadcast(-std::numeric_limits<float>::infinity());
  cpu::IntVec broken{};
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const Vec x = i + kLanes <= n ? cpu::load(logits.data() + i)
                                  : cpu::load_part(logits.data() + i, n - i, logits[0]);
    broken |= x != x;
    most = cpu::max(x, most);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    check(broken[lane] == 0, "sampling: a logit is NaN: the model's weights are broken");
  }
  const float largest = cpu::max_lanes(most);
  check(std::isfinite(largest),
        "sampling: the largest logit is infinite: the model's weights are broken");
  return largest;
}

// weights[i] = exp((logits[i] - largest) / temperature); returns their sum. Sums of vectors are
// float only inside of a block.
constexpr std::int64_t kBlock = 256;

double exponentials(std::vector<float>& weights, std::span<const float> logits, float largest,
                    float temperature) {
  const auto n = static_cast<std::int64_t>(logits.size());
  const float* x = logits.data();
  weights.resize(static_cast<std::size_t>(n));
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(n, begin + kBlock);
    Vec sum{};
    for (std::int64_t i = begin; i < end; i += kLanes) {
      const std::int64_t lanes = std::min<std::int64_t>(kLanes, end - i);
      const Vec x_i = lanes == kLanes ? cpu::load(x + i) : cpu::load_part(x + i, lanes);
      const Vec w = cpu::exp((x_i - largest) / temperature);
      if (lanes == kLanes) {
        cpu::store(weights.data() + i, w);
        sum += w;
      } else {
        cpu::store_part(weights.data() + i, w, lanes);
        sum += cpu::load_part(weights.data() + i, lanes);
      }
    }
    total += cpu::sum_lanes(sum);
  }
  return total;
}

// The `count` likeliest tokens, likeliest first. A heap of those found so far, the least likely on
// top: nearly all tokens are refused by one comparison.
void select_likeliest(std::vector<Shares::Candidate>& best, std::span<const float> logits,
                      std::size_t count) {
  best.clear();
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const Shares::Candidate c{logits[v], static_cast<int>(v)};
    if (best.size() < count) {
      best.push_back(c);
      std::push_heap(best.begin(), best.end(), likelier);
    } else if (c.logit > best.front().logit) {
      std::pop_heap(best.begin(), best.end(), likelier);
      best.back() = c;
      std::push_heap(best.begin(), best.end(), likelier);
    }
  }
  std::sort_heap(best.begin(), best.end(), likelier);
}

double weight_of(float logit, float largest, float temperature) {
  return std::exp((static_cast<double>(logit) - largest) / temperature);
}

// How many of the candidates, likeliest first, hold the share p of `sum`; 0: all together do not.
std::size_t crossing(const std::vector<Shares::Candidate>& candidates, float largest,
                     float temperature, double p, double sum) {
  double held = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    held += weight_of(candidates[i].logit, largest, temperature);
    if (held >= p * sum) return i + 1;
  }
  return 0;
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

void make_shares(Shares& shares, std::span<const float> logits, const SamplingSettings& s) {
  const float largest = checked_largest(logits);
  const auto V = static_cast<std::int64_t>(logits.size());
  shares.tokens.clear();
  if (s.temperature == 0) {
    const auto first = std::find(logits.begin(), logits.end(), largest);
    shares.tokens.push_back(static_cast<int>(first - logits.begin()));
    shares.weights.assign(1, 1.0f);
    shares.sum = 1;
    return;
  }
  auto& candidates = shares.candidates;
  const bool cut_k = s.top_k > 0 && s.top_k < V;
  if (cut_k) {
    select_likeliest(candidates, logits, static_cast<std::size_t>(s.top_k));
  } else {
    shares.sum = exponentials(shares.weights, logits, largest, s.temperature);
    if (s.top_p == 1) return;
  }
  if (s.top_p < 1) {
    double sum = shares.sum;
    if (cut_k) {
      sum = 0;
      for (const auto& c : candidates) sum += weight_of(c.logit, largest, s.temperature);
    }
    std::size_t kept = cut_k ? crossing(candidates, largest, s.temperature, s.top_p, sum) : 0;
    for (std::int64_t count = 64; kept == 0 && !cut_k; count *= 8) {
      select_likeliest(candidates, logits, static_cast<std::size_t>(std::min(count, V)));
      kept = crossing(candidates, largest, s.temperature, s.top_p, sum);
      if (count >= V && kept == 0) kept = candidates.size();
    }
    if (kept > 0) candidates.resize(kept);
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& a, const auto& b) { return a.token < b.token; });
  shares.sum = 0;
  shares.weights.clear();
  for (const auto& c : candidates) {
    const auto w = static_cast<float>(weight_of(c.logit, largest, s.temperature));
    shares.tokens.push_back(c.token);
    shares.weights.push_back(w);
    shares.sum += w;
  }
}

int draw(const Shares& shares, double u) {
  const std::vector<float>& w = shares.weights;
  const double wanted = u * shares.sum;
  double before = 0;
  std::size_t last = 0;  // the last with a weight: where rounding has left the sum short
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (w[i] == 0) continue;
    before += w[i];
    last = i;
    if (before > wanted) break;
  }
  return shares.tokens.empty() ? static_cast<int>(last) : shares.tokens[last];
}

int sample_token(std::span<const float> logits, const SamplingSettings& settings, Random& random,
                 Shares& shares) {
  make_shares(shares, logits, settings);
  return draw(shares, settings.temperature == 0 ? 0.0 : random.uniform());
}

int sample_token(std::span<const float> logits, const SamplingSettings& settings, Random& random) {
  Shares shares;
  return sample_token(logits, settings, random, shares);
}

}  // namespace tinygpt
