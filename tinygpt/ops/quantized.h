// Weights in eight and in four bits: blocks of 32 values that share a scale, laid out as ggml lays
// them out, so that a file of them opens in other programs.
//
// Q8_0: d = max |x| / 127,  q[i] = round(x[i] / d),  x'[i] = d * q[i]          34 bytes, 8.5 bits
// Q4_0: d = m / -8, m the value of largest magnitude, with its sign,
//       q[i] = min(15, floor(x[i] / d + 8.5)),  x'[i] = d * (q[i] - 8)         18 bytes, 4.5 bits
//
// Q4_0 has 16 steps, -8 to 7. The largest value becomes -8, the step that has no counterpart, and
// so nothing of the range is lost whatever its sign. d is kept in half precision; q is found with
// the float d, as ggml does.
#pragma once

#include <cstdint>

#include "tinygpt/core/float16.h"

namespace tinygpt {

inline constexpr int kQuantBlock = 32;  // values that share a scale

struct BlockQ8_0 {
  Float16 d;
  std::int8_t q[kQuantBlock];
};
static_assert(sizeof(BlockQ8_0) == 34);

struct BlockQ4_0 {
  Float16 d;
  std::uint8_t q[kQuantBlock / 2];  // value i in the low half of byte i, value i + 16 in the high
};
static_assert(sizeof(BlockQ4_0) == 18);

// out [n / 32] written, x [n]. n is a multiple of 32; throws Error where it is not, and on values
// that are not finite or whose scale is beyond half precision. A block of zeros has d = 0.
using QuantizeQ8_0 = void(BlockQ8_0* out, const float* x, std::int64_t n);
using QuantizeQ4_0 = void(BlockQ4_0* out, const float* x, std::int64_t n);

// out [n] written, x [n / 32].
using DequantizeQ8_0 = void(float* out, const BlockQ8_0* x, std::int64_t n);
using DequantizeQ4_0 = void(float* out, const BlockQ4_0* x, std::int64_t n);

}  // namespace tinygpt
