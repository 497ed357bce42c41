#include "tests/support/random_values.h"

#include <cstdint>
#include <cstdlib>

#include "tinygpt/core/random.h"

namespace tinygpt::test {

std::uint64_t test_seed() {
  const char* text = std::getenv("TINYGPT_TEST_SEED");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

Values random_values(std::int64_t n, std::uint64_t seed, double scale, double mean) {
  Random random{seed, 0, 2 * test_seed()};
  Values values(static_cast<std::size_t>(n));
  for (double& value : values) value = static_cast<float>(mean + scale * random.normal());
  return values;
}

std::vector<int> random_tokens(std::int64_t n, int V, std::uint64_t seed) {
  Random random{seed, 0, 2 * test_seed() + 1};
  std::vector<int> tokens(static_cast<std::size_t>(n));
  for (int& token : tokens) token = static_cast<int>(random.below(static_cast<std::uint64_t>(V)));
  return tokens;
}

}  // namespace tinygpt::test
