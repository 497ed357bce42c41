// Drawing tokens on a device: tests/infer has the host's own tests.
#include <cmath>
#include <limits>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

int draw(const Implementation& i, const Values& logits, float temperature, double u) {
  Sandbox s(i, "sample_token");
  const float* x = s.input(logits);
  // An int of the device, in the place of a float.
  float* const place = s.output(1);
  i.ops.sample_token(reinterpret_cast<int*>(place), x, static_cast<int>(logits.size()), temperature,
                     u);
  int token = -2;
  i.memory.copy_out(&token, place, sizeof(token));
  s.expect("logits", x, logits, {{"v", static_cast<int>(logits.size())}});
  return token;
}

// p[0] + ... + p[v] for every v, in double.
Values cumulative(const Values& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  Values sums;
  for (const double logit : logits) {
    sum += std::exp((logit - largest) / temperature);
    sums.push_back(sum);
  }
  for (double& s : sums) s /= sum;
  return sums;
}

std::vector<Implementation> samplers() {
  std::vector<Implementation> able;
  for (const Implementation& i : implementations()) {
    if (i.ops.sample_token != nullptr) able.push_back(i);
  }
  return able;
}

}  // namespace

TEST_CASE("sample_token draws the token in whose share of the probability u falls",
          "[sampling][lesson-14]") {
  // All but those whose logits lie where the host can sample.
  REQUIRE(std::ranges::count(samplers(), Device::host, &Implementation::device) == 0);
  REQUIRE(std::ranges::count_if(implementations(), [](const Implementation& i) {
            return i.device != Device::host && i.ops.sample_token == nullptr;
          }) == 0);
  for (const Implementation& i : samplers()) {
    for (const int V : {1, 2, 31, 32, 257, 1000}) {
      const Values logits = random_values(V, 1, 2.0);
      for (const float temperature : {0.3f, 1.0f, 5.0f}) {
        const Values sums = cumulative(logits, temperature);
        Random random{7};
        for (int k = 0; k < 8; ++k) {
          const double u = k == 0 ? 0 : k == 1 ? 1 - 0x1.0p-53 : random.uniform();
          const int token = draw(i, logits, temperature, u);
          INFO(i.name << ", V " << V << ", temperature " << temperature << ", u " << u << ": "
                      << token << ", seed " << test_seed());
          REQUIRE((token >= 0 && token < V));
          const auto at = static_cast<std::size_t>(token);
          CHECK(u <= sums[at] + 1e-6);
          CHECK(u >= (token == 0 ? 0 : sums[at - 1]) - 1e-6);
        }
      }
    }
  }
}

TEST_CASE("sample_token at temperature 0 takes the largest logit, and of equals the first",
          "[sampling][lesson-14]") {
  for (const Implementation& i : samplers()) {
    Values logits = random_values(700, 1);
    for (const std::size_t v : {699u, 300u, 311u}) {
      logits[v] = 50;
      INFO(i.name << ", " << v);
      CHECK(draw(i, logits, 0, 0.9) == static_cast<int>(v == 311 ? 300 : v));
    }
    CHECK(draw(i, {-3}, 0, 0.5) == 0);
    CHECK(draw(i, {-kInfinity, -1e30, -kInfinity}, 0, 0.5) == 1);
  }
}

TEST_CASE("sample_token never draws a token that is masked out", "[sampling][lesson-14]") {
  for (const Implementation& i : samplers()) {
    Values logits(300, -kInfinity);
    logits[17] = logits[280] = 2;
    INFO(i.name);
    for (const double u : {0.0, 0.25, 0.4999}) CHECK(draw(i, logits, 1, u) == 17);
    for (const double u : {0.5001, 0.75, 1 - 0x1.0p-53}) CHECK(draw(i, logits, 1, u) == 280);
  }
}

TEST_CASE("sample_token says so where logits are broken", "[sampling][lesson-14]") {
  for (const Implementation& i : samplers()) {
    for (const double bad : {double{NAN}, kInfinity}) {
      for (const float temperature : {0.0f, 1.0f}) {
        Values logits = random_values(290, 1);
        logits[288] = bad;
        Sandbox s(i, "sample_token");
        const float* x = s.input(logits);
        float* const place = s.output(1);
        i.ops.sample_token(reinterpret_cast<int*>(place), x, 290, temperature, 0.5);
        int token = 0;
        i.memory.copy_out(&token, place, sizeof(token));
        INFO(i.name << ", " << bad << ", temperature " << temperature);
        CHECK(token == -1);
      }
    }
    Values none(40, -kInfinity);
    CHECK(draw(i, none, 1, 0.5) == -1);
    Sandbox s(i, "sample_token");
    float* const place = s.output(1);
    const auto sample = [&](int V, float temperature) {
      i.ops.sample_token(reinterpret_cast<int*>(place), place, V, temperature, 0.5);
    };
    CHECK_THROWS_AS(sample(0, 1), Error);
    CHECK_THROWS_AS(sample(1, -1), Error);
  }
}
