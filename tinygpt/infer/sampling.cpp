// Lesson 14's sampling at the price that a token may cost: no sorting of all tokens, exponentials
// of those alone that may be drawn, whole vectors at a time.
#include "tinygpt/infer/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
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
  return a.number > b.number || (a.number == b.number && a.token < b.token);
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

// The `count` likeliest tokens. A heap of those found so far, the least likely on
// top: nearly all tokens are refused by one comparison.
void select_likeliest(std::vector<Shares::Candidate>& best, std::span<const float> logits,
                      std::size_t count) {
  best.clear();
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const Shares::Candidate c{logits[v], static_cast<int>(v)};
    if (best.size() < count) {
      best.push_back(c);
      std::push_heap(best.begin(), best.end(), likelier);
    } else if (c.number > best.front().number) {
      std::pop_heap(best.begin(), best.end(), likelier);
      best.back() = c;
      std::push_heap(best.begin(), best.end(), likelier);
    }
  }
}

// The sum of the weights that are at least `least`, vectors inside of a block.
double sum_from(const std::vector<float>& weights, float least) {
  const auto n = static_cast<std::int64_t>(weights.size());
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(n, begin + kBlock);
    Vec sum{};
    for (std::int64_t i = begin; i < end; i += kLanes) {
      const Vec w = i + kLanes <= end ? cpu::load(weights.data() + i)
                                      : cpu::load_part(weights.data() + i, end - i);
      sum += w >= least ? w : Vec{};
    }
    total += cpu::sum_lanes(sum);
  }
  return total;
}

// Keeps of the tokens with weights as few of the likeliest as hold p of the sum; of equals, those
// that come first. Sorting would cost more than all the rest: instead the smallest weight that is
// kept is found by bisection, bit by bit, since floats that are not negative are ordered as their
// bits are.
void cut_top_p(Shares& shares, double p) {
  const std::vector<float>& w = shares.weights;
  const double wanted = p * shares.sum;
  std::uint32_t low = 0;                                    // keeping all from here on is enough
  std::uint32_t high = std::bit_cast<std::uint32_t>(2.0f);  // and from here on is not
  while (high - low > 1) {
    const std::uint32_t middle = low + (high - low) / 2;
    (sum_from(w, std::bit_cast<float>(middle)) >= wanted ? low : high) = middle;
  }
  const float least = std::bit_cast<float>(low);
  double held = sum_from(w, std::bit_cast<float>(high));  // of those that are larger
  const bool all = shares.tokens.empty();
  std::vector<Shares::Candidate>& kept = shares.candidates;
  kept.clear();
  for (std::size_t i = 0; i < w.size(); ++i) {
    const bool equal = w[i] == least && w[i] > 0 && held < wanted;
    if (equal) held += w[i];
    if (w[i] > least || equal) kept.push_back({w[i], all ? static_cast<int>(i) : shares.tokens[i]});
  }
  shares.tokens.clear();
  shares.weights.clear();
  shares.sum = 0;
  for (const Shares::Candidate& c : kept) {
    shares.tokens.push_back(c.token);
    shares.weights.push_back(c.number);
    shares.sum += c.number;
  }
}

// The k likeliest tokens with their weights, in the order of their numbers.
void keep_top_k(Shares& shares, std::span<const float> logits, int k, float largest,
                float temperature) {
  std::vector<Shares::Candidate>& best = shares.candidates;
  select_likeliest(best, logits, static_cast<std::size_t>(k));
  std::sort(best.begin(), best.end(),
            [](const auto& a, const auto& b) { return a.token < b.token; });
  shares.weights.clear();
  shares.sum = 0;
  for (const Shares::Candidate& c : best) {
    const float w = std::exp((c.number - largest) / temperature);
    shares.tokens.push_back(c.token);
    shares.weights.push_back(w);
    shares.sum += w;
  }
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
  if (s.top_k > 0 && s.top_k < V) {
    keep_top_k(shares, logits, s.top_k, largest, s.temperature);
  } else {
    shares.sum = exponentials(shares.weights, logits, largest, s.temperature);
  }
  if (s.top_p < 1) cut_top_p(shares, s.top_p);
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
