// float16: IEEE 754's half precision, ten bits of fraction and five of exponent. A type to keep
// numbers in, such as the scales of quantized blocks: arithmetic is float.
#pragma once

#include <bit>
#include <cstdint>

namespace tinygpt {

struct Float16 {
  std::uint16_t bits;

  Float16() = default;
  // To the nearest, ties to even; beyond 65504 infinite, and NaN stays NaN.
  explicit Float16(float value) : bits(rounded(value)) {}
  operator float() const { return widened(bits); }

  static Float16 from_bits(std::uint16_t bits) {
    Float16 x;
    x.bits = bits;
    return x;
  }

 private:
  static float widened(std::uint16_t half) {
    const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16;
    const std::uint32_t rest = half & 0x7fffu;
    if (rest >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ff) << 13);
    // The bits as a float are 2^-112 times the value, below the smallest normal half, too: there a
    // float is still normal, and this product is exact.
    const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }

  static std::uint16_t rounded(float value) {
    const auto all = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>(all >> 16 & 0x8000);
    const std::uint32_t magnitude = all & 0x7fffffff;
    if (magnitude > 0x7f800000) return static_cast<std::uint16_t>(sign | 0x7e00);
    if (magnitude >= 0x47800000) return static_cast<std::uint16_t>(sign | 0x7c00);
    std::uint32_t half;
    if (magnitude < 0x38800000) {
      // Below 2^-14 a half counts in units of 2^-24. Added to 1/2, whose last bit is 2^-24, the
      // float's own rounding does the work.
      const float sum = std::bit_cast<float>(magnitude) + 0.5f;
      half = std::bit_cast<std::uint32_t>(sum) - std::bit_cast<std::uint32_t>(0.5f);
    } else {
      // 13 bits fall off: half a unit, or just less where the result would be odd, carries.
      half = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    }
    return static_cast<std::uint16_t>(sign | half);
  }
};

}  // namespace tinygpt
