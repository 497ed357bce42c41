#include "tinygpt/infer/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int> draw(const std::vector<float>& logits, const SamplingSettings& settings, int times,
                      std::uint64_t seed = 11) {
  Random random{seed, 0, 3};
  std::vector<int> counts(logits.size());
  for (int i = 0; i < times; ++i) {
    ++counts[static_cast<std::size_t>(sample_token(logits, settings, random))];
  }
  return counts;
}

// The probabilities that settings stand for, the slow and plain way.
std::vector<double> expected(const std::vector<float>& logits, const SamplingSettings& s) {
  std::vector<double> p(logits.size());
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(logits[i] / s.temperature);
  for (double& x : p) x /= sum;
  std::vector<double> sorted = p;
  std::sort(sorted.rbegin(), sorted.rend());
  double least = 0;
  const auto k = static_cast<std::size_t>(s.top_k);
  if (k > 0 && k < p.size()) least = sorted[k - 1];
  double kept = 0;
  for (const double x : sorted) kept += x >= least ? x : 0;
  double held = 0;
  for (const double x : sorted) {
    if (held >= s.top_p * kept || x < least) break;
    held += x;
    sum = x;
  }
  double total = 0;
  for (double& x : p) total += x = x >= sum ? x : 0;
  for (double& x : p) x /= total;
  return p;
}

double chi_square(const std::vector<int>& counts, const std::vector<double>& p, int times) {
  double chi = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      REQUIRE(counts[i] == 0);
      continue;
    }
    const double want = p[i] * times;
    chi += (counts[i] - want) * (counts[i] - want) / want;
  }
  return chi;
}

}  // namespace

TEST_CASE("tokens are drawn as often as softmax says", "[sampling][chi-square]") {
  const std::vector<float> logits = {0.3f, -1.0f, 2.0f, 0.0f, 1.1f, -0.4f, 0.9f, 1.9f};
  constexpr int kTimes = 200'000;
  const auto fits = [&](const SamplingSettings& s) {
    INFO("temperature " << s.temperature << " top-k " << s.top_k << " top-p " << s.top_p);
    const std::vector<double> p = expected(logits, s);
    // 7 degrees of freedom at most: 29.9 is exceeded once in 10,000 trials, and the seed is fixed.
    CHECK(chi_square(draw(logits, s, kTimes), p, kTimes) < 29.9);
  };
  fits({1.0f, 0, 1.0f});
  fits({0.5f, 0, 1.0f});
  fits({3.0f, 0, 1.0f});
  fits({1.0f, 3, 1.0f});
  fits({0.7f, 5, 1.0f});
  fits({1.0f, 0, 0.6f});
  fits({1.0f, 4, 0.8f});
  fits({2.0f, 100, 0.95f});
}

TEST_CASE("top-p keeps the token that crosses the threshold", "[sampling][top-p]") {
  // Probabilities 0.5, 0.3, 0.2.
  const std::vector<float> logits = {std::log(0.2f), std::log(0.5f), std::log(0.3f)};
  const auto drawn = [&](float top_p) {
    const std::vector<int> counts = draw(logits, {1.0f, 0, top_p}, 2000);
    return std::count_if(counts.begin(), counts.end(), [](int n) { return n > 0; });
  };
  CHECK(drawn(1e-6f) == 1);
  CHECK(drawn(0.49f) == 1);
  CHECK(drawn(0.51f) == 2);
  CHECK(drawn(0.79f) == 2);
  CHECK(drawn(0.81f) == 3);
  CHECK(drawn(1.0f) == 3);
}

TEST_CASE("top-p works on what top-k left", "[sampling][top-k][top-p]") {
  // Of 0.4, 0.3, 0.2, 0.1 top-k 2 leaves 4/7 and 3/7: a threshold of 0.55 is crossed by the first.
  const std::vector<float> logits = {std::log(0.1f), std::log(0.4f), std::log(0.2f),
                                     std::log(0.3f)};
  CHECK(draw(logits, {1.0f, 2, 0.55f}, 500)[1] == 500);
  CHECK(draw(logits, {1.0f, 0, 0.55f}, 500)[3] > 0);
}

TEST_CASE("the temperature comes before top-p", "[sampling][temperature]") {
  // At temperature 0.25 the first of two tokens with 0.6 and 0.4 has 0.835.
  const std::vector<float> logits = {std::log(0.6f), std::log(0.4f)};
  CHECK(draw(logits, {0.25f, 0, 0.8f}, 500)[0] == 500);
  CHECK(draw(logits, {1.0f, 0, 0.8f}, 500)[0] < 500);
}

TEST_CASE("temperature 0, top-k 1 and a tiny top-p take the likeliest token",
          "[sampling][greedy]") {
  const std::vector<float> logits = {1.0f, 3.0f, 3.0f, -2.0f};  // the first of equals
  Random random{1};
  CHECK(sample_token(logits, {0.0f, 0, 1.0f}, random) == 1);
  CHECK(random.counter == 0);  // no random number is drawn
  CHECK(sample_token(logits, {1.0f, 1, 1.0f}, random) == 1);
  CHECK(sample_token(logits, {1.0f, 0, 1e-9f}, random) == 1);
  CHECK(draw({5.0f, 5.001f}, {1e-20f, 0, 1.0f}, 100)[1] == 100);
}

TEST_CASE("sampling survives logits that are huge, minus infinity or alone", "[sampling]") {
  CHECK(draw({-kInfinity, 0.0f, -kInfinity}, {1.0f, 0, 1.0f}, 100)[1] == 100);
  CHECK(draw({3e38f, -3e38f}, {1.0f, 0, 1.0f}, 100)[0] == 100);
  CHECK(draw({-1e30f}, {1.0f, 7, 0.5f}, 10)[0] == 10);
  const std::vector<int> equal = draw({-9e9f, -9e9f}, {1.0f, 0, 1.0f}, 1000);
  CHECK(equal[0] > 400);
  CHECK(equal[1] > 400);
}

TEST_CASE("broken logits are refused", "[sampling]") {
  Random random{1};
  const SamplingSettings s{1.0f, 0, 1.0f};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(sample_token(std::vector<float>{}, s, random), Error);
  CHECK_THROWS_AS(sample_token(std::vector<float>{1.0f, nan}, s, random), Error);
  CHECK_THROWS_AS(sample_token(std::vector<float>{1.0f, kInfinity}, s, random), Error);
  CHECK_THROWS_AS(sample_token(std::vector<float>{-kInfinity}, s, random), Error);
}

TEST_CASE("equal seeds draw equal tokens", "[sampling][seed]") {
  const std::vector<float> logits(50, 0.0f);
  CHECK(draw(logits, {}, 100, 4) == draw(logits, {}, 100, 4));
  CHECK(draw(logits, {}, 100, 4) != draw(logits, {}, 100, 5));
}

TEST_CASE("sampling settings out of range are refused by the option's name", "[sampling]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {-0.1f, 101.0f, nan}) {
    CHECK_THROWS_WITH(check_sampling({bad, 0, 1.0f}), ContainsSubstring("--temperature"));
  }
  CHECK_THROWS_WITH(check_sampling({1.0f, -1, 1.0f}), ContainsSubstring("--top-k"));
  for (const float bad : {0.0f, -1.0f, 1.1f, nan}) {
    CHECK_THROWS_WITH(check_sampling({1.0f, 0, bad}), ContainsSubstring("--top-p"));
  }
}
