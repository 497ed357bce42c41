// bfloat16: the upper half of a float, with its range and eight bits of precision. A type to keep
// numbers in: arithmetic is float.
#pragma once

#include <bit>
#include <cstdint>

namespace tinygpt {

struct Bfloat16 {
  std::uint16_t bits;

  Bfloat16() = default;
  // To the nearest, ties to even; NaN stays NaN.
  explicit Bfloat16(float value) : bits(rounded(value)) {}
  operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

  static Bfloat16 from_bits(std::uint16_t bits) {
    Bfloat16 x;
    x.bits = bits;
    return x;
  }

 private:
  static std::uint16_t rounded(float value) {
    const auto all = std::bit_cast<std::uint32_t>(value);
    if (value != value) return static_cast<std::uint16_t>(all >> 16 | 0x40);
    // Half a unit, or just less where the result would be odd, carries into the upper half.
    return static_cast<std::uint16_t>((all + 0x7fff + (all >> 16 & 1)) >> 16);
  }
};

}  // namespace tinygpt
