#include "tinygpt/core/float16.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/catch.h"

using tinygpt::Float16;

namespace {

// The value that the bits stand for, by the definition of the format.
double value_of(int bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("every finite half becomes the float of the same value, and comes back") {
  for (int bits = 0; bits < 0x10000; ++bits) {
    if ((bits >> 10 & 31) == 31) continue;
    const float value = Float16::from_bits(static_cast<std::uint16_t>(bits));
    REQUIRE(value == value_of(bits));
    REQUIRE(std::signbit(value) == ((bits & 0x8000) != 0));
    REQUIRE(Float16(value).bits == bits);
  }
}

TEST_CASE("a float between two halves goes to the nearest, ties to even") {
  for (int bits = 0; bits < 0x7bff; ++bits) {
    const double low = value_of(bits), high = value_of(bits + 1), middle = (low + high) / 2;
    const auto tie = static_cast<float>(middle);
    REQUIRE(tie == middle);
    REQUIRE(Float16(tie).bits == bits + (bits & 1));
    REQUIRE(Float16(std::nextafter(tie, 0.0f)).bits == bits);
    REQUIRE(Float16(std::nextafter(tie, kInfinity)).bits == bits + 1);
    REQUIRE(Float16(-std::nextafter(tie, kInfinity)).bits == (0x8000 | (bits + 1)));
  }
}

TEST_CASE("halves end at 65504: what would round beyond is infinite, and NaN stays NaN") {
  CHECK(Float16(65519.0f).bits == 0x7bff);
  CHECK(Float16(65520.0f).bits == 0x7c00);
  CHECK(Float16(-1e30f).bits == 0xfc00);
  CHECK(static_cast<float>(Float16(kInfinity)) == kInfinity);
  CHECK(static_cast<float>(Float16(-kInfinity)) == -kInfinity);
  CHECK(std::isnan(static_cast<float>(Float16(std::nanf("")))));
  CHECK(Float16(1e-10f).bits == 0);
  CHECK(Float16(-1e-10f).bits == 0x8000);
}
