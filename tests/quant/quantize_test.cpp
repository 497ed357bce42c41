#include "solutions/21-quantization/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;

namespace {

std::vector<float> values(int n, std::uint64_t seed, double scale = 1.0) {
  std::vector<float> x;
  for (const double v : test::random_values(n, seed, scale)) x.push_back(static_cast<float>(v));
  return x;
}

std::vector<BlockQ8_0> q8_0(const std::vector<float>& x) {
  std::vector<BlockQ8_0> out(x.size() / kQuantBlock);
  ref::quantize_q8_0(out.data(), x.data(), static_cast<std::int64_t>(x.size()));
  return out;
}

std::vector<BlockQ4_0> q4_0(const std::vector<float>& x) {
  std::vector<BlockQ4_0> out(x.size() / kQuantBlock);
  ref::quantize_q4_0(out.data(), x.data(), static_cast<std::int64_t>(x.size()));
  return out;
}

// What comes back from eight or from four bits.
std::vector<float> there_and_back(const std::vector<float>& x, int bits) {
  std::vector<float> out(x.size());
  const auto n = static_cast<std::int64_t>(x.size());
  if (bits == 8) {
    ref::dequantize_q8_0(out.data(), q8_0(x).data(), n);
  } else {
    ref::dequantize_q4_0(out.data(), q4_0(x).data(), n);
  }
  return out;
}

}  // namespace

TEST_CASE("q8_0 is off by at most half a step, and by the rounding of its scale", "[quantize]") {
  for (const double scale : {1e-3, 1.0, 300.0}) {
    const std::vector<float> x = values(32 * 57, 1, scale);
    const std::vector<float> back = there_and_back(x, 8);
    for (std::size_t b = 0; b < x.size(); b += kQuantBlock) {
      float largest = 0;
      for (std::size_t i = b; i < b + kQuantBlock; ++i)
        largest = std::max(largest, std::fabs(x[i]));
      // Half a step, and 127 times what half precision is off by, which counts in 2^-24 at least.
      const float allowed = largest / 127 * 0.5001f + largest * 0x1p-11f + 127 * 0x1p-25f;
      for (std::size_t i = b; i < b + kQuantBlock; ++i) {
        REQUIRE(std::fabs(back[i] - x[i]) <= allowed);
      }
    }
  }
}

TEST_CASE("q4_0 is off by at most half a step, but at the end of its range by one", "[quantize]") {
  const std::vector<float> x = values(32 * 57, 2);
  const std::vector<float> back = there_and_back(x, 4);
  for (std::size_t b = 0; b < x.size(); b += kQuantBlock) {
    float m = 0;
    for (std::size_t i = b; i < b + kQuantBlock; ++i) m = std::fabs(x[i]) > std::fabs(m) ? x[i] : m;
    const float step = std::fabs(m) / 8;
    for (std::size_t i = b; i < b + kQuantBlock; ++i) {
      const bool at_the_end = x[i] / m < -7.5f / 8;
      REQUIRE(std::fabs(back[i] - x[i]) <= step * (at_the_end ? 1.001f : 0.5001f) + step * 0x1p-8f);
    }
  }
}

TEST_CASE("q4_0 keeps the largest value of either sign, and puts nibbles in ggml's order",
          "[quantize]") {
  for (const float sign : {1.0f, -1.0f}) {
    std::vector<float> x(32, 0.0f);
    x[3] = 8 * sign, x[4] = 1 * sign, x[20] = -7 * sign, x[19] = -4 * sign;
    const BlockQ4_0 block = q4_0(x)[0];
    CHECK(static_cast<float>(block.d) == -sign);
    CHECK(block.q[3] == (0 | 12 << 4));  // values 3 and 19: 8 is step -8, -4 is step 4
    CHECK(block.q[4] == (7 | 15 << 4));  // values 4 and 20
    CHECK(block.q[0] == (8 | 8 << 4));   // zeros
    CHECK(there_and_back(x, 4) == x);
  }
}

TEST_CASE("q8_0 of whole numbers up to 127 is exact", "[quantize]") {
  std::vector<float> x;
  for (int i = 0; i < 32; ++i) x.push_back(static_cast<float>(i * 8 - 121));
  x[31] = 127;
  const BlockQ8_0 block = q8_0(x)[0];
  CHECK(static_cast<float>(block.d) == 1.0f);
  CHECK(block.q[0] == -121);
  CHECK(block.q[31] == 127);
  CHECK(there_and_back(x, 8) == x);
}

TEST_CASE("blocks of zeros, and of values too small for a scale, are zeros", "[quantize]") {
  for (const float value : {0.0f, 1e-42f, 1e-9f}) {
    const std::vector<float> x(64, value);
    for (const int bits : {8, 4}) {
      for (const float back : there_and_back(x, bits)) CHECK(std::fabs(back) <= 1e-8f);
    }
  }
}

TEST_CASE("what has no place in blocks is refused", "[quantize]") {
  std::vector<float> x = values(40, 3);
  std::vector<BlockQ8_0> eight(2);
  std::vector<BlockQ4_0> four(2);
  CHECK_THROWS_AS(ref::quantize_q8_0(eight.data(), x.data(), 40), Error);
  CHECK_THROWS_AS(ref::quantize_q4_0(four.data(), x.data(), 40), Error);
  CHECK_THROWS_AS(ref::dequantize_q4_0(x.data(), four.data(), 33), Error);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf(""), 3e38f}) {
    x[7] = bad;
    CHECK_THROWS_AS(ref::quantize_q8_0(eight.data(), x.data(), 32), Error);
    CHECK_THROWS_AS(ref::quantize_q4_0(four.data(), x.data(), 32), Error);
  }
}
