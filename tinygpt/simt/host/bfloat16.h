// __nv_bfloat16: the upper half of a float, rounded to nearest even, with float arithmetic between.
#pragma once

#include <cstdint>

#include "tinygpt/simt/host/types.h"

namespace tinygpt::simt {

TINYGPT_SIMT_INLINE unsigned short to_bfloat16_bits(float value) {
  std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  if (value != value) return 0x7fff;  // the one NaN that the device makes
  bits += 0x7fff + ((bits >> 16) & 1);
  return static_cast<unsigned short>(bits >> 16);
}

TINYGPT_SIMT_INLINE float from_bfloat16_bits(unsigned short bits) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace tinygpt::simt

struct __nv_bfloat16_raw {
  unsigned short x;
};

struct __nv_bfloat16 {
  unsigned short bits;  // alone, so that the type stays trivial: shared memory holds arrays of it
  __nv_bfloat16() = default;
  TINYGPT_SIMT_INLINE __nv_bfloat16(float value) : bits(tinygpt::simt::to_bfloat16_bits(value)) {}
  TINYGPT_SIMT_INLINE __nv_bfloat16(double value) : __nv_bfloat16(static_cast<float>(value)) {}
  TINYGPT_SIMT_INLINE __nv_bfloat16(int value) : __nv_bfloat16(static_cast<float>(value)) {}
  TINYGPT_SIMT_INLINE __nv_bfloat16(__nv_bfloat16_raw raw) : bits(raw.x) {}
  TINYGPT_SIMT_INLINE operator float() const { return tinygpt::simt::from_bfloat16_bits(bits); }
  TINYGPT_SIMT_INLINE operator __nv_bfloat16_raw() const { return {bits}; }
};

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
  __nv_bfloat162() = default;
  TINYGPT_SIMT_INLINE __nv_bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) : x(a), y(b) {}
  TINYGPT_SIMT_INLINE __nv_bfloat162(const __nv_bfloat162& other) {
    tinygpt::simt::copy_vector(this, &other);
  }
  TINYGPT_SIMT_INLINE __nv_bfloat162& operator=(const __nv_bfloat162& other) {
    tinygpt::simt::copy_vector(this, &other);
    return *this;
  }
};

using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

TINYGPT_SIMT_INLINE __nv_bfloat16 operator+(__nv_bfloat16 a, __nv_bfloat16 b) {
  return float(a) + float(b);
}
TINYGPT_SIMT_INLINE __nv_bfloat16 operator-(__nv_bfloat16 a, __nv_bfloat16 b) {
  return float(a) - float(b);
}
TINYGPT_SIMT_INLINE __nv_bfloat16 operator*(__nv_bfloat16 a, __nv_bfloat16 b) {
  return float(a) * float(b);
}
TINYGPT_SIMT_INLINE __nv_bfloat16 operator/(__nv_bfloat16 a, __nv_bfloat16 b) {
  return float(a) / float(b);
}
TINYGPT_SIMT_INLINE __nv_bfloat16& operator+=(__nv_bfloat16& a, __nv_bfloat16 b) {
  return a = a + b;
}
TINYGPT_SIMT_INLINE __nv_bfloat16& operator*=(__nv_bfloat16& a, __nv_bfloat16 b) {
  return a = a * b;
}

TINYGPT_SIMT_INLINE float __bfloat162float(__nv_bfloat16 value) { return value; }
TINYGPT_SIMT_INLINE __nv_bfloat16 __float2bfloat16(float value) { return value; }
TINYGPT_SIMT_INLINE __nv_bfloat16 __float2bfloat16_rn(float value) { return value; }
TINYGPT_SIMT_INLINE __nv_bfloat162 __float22bfloat162_rn(float2 value) {
  return {value.x, value.y};
}
TINYGPT_SIMT_INLINE __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
TINYGPT_SIMT_INLINE __nv_bfloat162 __float2bfloat162_rn(float value) { return {value, value}; }
TINYGPT_SIMT_INLINE float2 __bfloat1622float2(__nv_bfloat162 value) {
  return {float(value.x), float(value.y)};
}
TINYGPT_SIMT_INLINE float __low2float(__nv_bfloat162 value) { return value.x; }
TINYGPT_SIMT_INLINE float __high2float(__nv_bfloat162 value) { return value.y; }
TINYGPT_SIMT_INLINE __nv_bfloat16 __low2bfloat16(__nv_bfloat162 value) { return value.x; }
TINYGPT_SIMT_INLINE __nv_bfloat16 __high2bfloat16(__nv_bfloat162 value) { return value.y; }
TINYGPT_SIMT_INLINE __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {x, y};
}
TINYGPT_SIMT_INLINE __nv_bfloat162 make_bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {x, y};
}
TINYGPT_SIMT_INLINE unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }
TINYGPT_SIMT_INLINE __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
  return __nv_bfloat16_raw{bits};
}
