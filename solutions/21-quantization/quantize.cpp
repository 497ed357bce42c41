#include "solutions/21-quantization/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::ref {
namespace {

// The value of the largest magnitude in a block, with its sign.
float largest_of(const float* x) {
  float largest = 0.0f;
  for (int i = 0; i < kQuantBlock; ++i) {
    check(std::isfinite(x[i]), "quantize: a weight is not finite");
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  return largest;
}

// 1 / d, or 0 where d is nothing: values so small become 0.
float inverse_of(float d) {
  check(std::fabs(d) <= 65504.0f, "quantize: a weight is too large for a scale in half precision");
  return std::isnormal(d) ? 1.0f / d : 0.0f;
}

std::int64_t blocks_of(std::int64_t n) {
  check(n % kQuantBlock == 0, "quantize: rows must be multiples of 32 values, one block each");
  return n / kQuantBlock;
}

}  // namespace

// d = max |x| / 127,  q[i] = round(x[i] / d)    in every block of 32
//
// out [n / 32] written, x [n]. d is kept in half precision, as Float16(d), and q found with the
// float d: x[i] times inverse_of(d), which is 0 for a block of zeros. std::round rounds halves away
// from zero, as ggml does.
void quantize_q8_0(BlockQ8_0* out, const float* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  // your code: 21.quantize_q8_0
  for (std::int64_t b = 0; b < blocks; ++b) {
    const float* x_b = x + b * kQuantBlock;
    const float d = std::fabs(largest_of(x_b)) / 127.0f;
    const float inverse = inverse_of(d);
    out[b].d = Float16(d);
    for (int i = 0; i < kQuantBlock; ++i) {
      out[b].q[i] = static_cast<std::int8_t>(std::round(x_b[i] * inverse));
    }
  }
  // end of your code
}

// x'[i] = d * q[i]    with the d of value i's block (a Float16 turns itself into a float)
//
// out [n] written, x [n / 32].
void dequantize_q8_0(float* out, const BlockQ8_0* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  // your code: 21.dequantize
  for (std::int64_t b = 0; b < blocks; ++b) {
    const float d = x[b].d;
    for (int i = 0; i < kQuantBlock; ++i) {
      out[b * kQuantBlock + i] = d * static_cast<float>(x[b].q[i]);
    }
  }
  // end of your code
}

// d = m / -8,  q[i] = min(15, floor(x[i] / d + 8.5))    in every block of 32
//
// m is the value of largest magnitude, with its sign (largest_of). Of a block's 32 values the first
// 16 go to the low halves of its 16 bytes, the last 16 to the high ones: value i and value i + 16
// share byte i. x [n], out [n / 32] written; d and inverse_of as above.
void quantize_q4_0(BlockQ4_0* out, const float* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  // your code: 21.quantize_q4_0
  for (std::int64_t b = 0; b < blocks; ++b) {
    const float* x_b = x + b * kQuantBlock;
    const float d = largest_of(x_b) / -8.0f;
    const float inverse = inverse_of(d);
    out[b].d = Float16(d);
    // x / d is between -8 and 8, so q is between 0 and 16; 16 has no place in four bits.
    const auto step = [&](float value) {
      return static_cast<unsigned>(std::min(15, static_cast<int>(value * inverse + 8.5f)));
    };
    for (int i = 0; i < kQuantBlock / 2; ++i) {
      const unsigned low = step(x_b[i]), high = step(x_b[i + kQuantBlock / 2]);
      out[b].q[i] = static_cast<std::uint8_t>(low | high << 4);
    }
  }
  // end of your code
}

// x'[i] = d * (q[i] - 8)    with q[i] and q[i + 16] in byte i, the low half first
//
// out [n] written, x [n / 32].
void dequantize_q4_0(float* out, const BlockQ4_0* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  // your code: 21.dequantize
  for (std::int64_t b = 0; b < blocks; ++b) {
    const float d = x[b].d;
    float* out_b = out + b * kQuantBlock;
    for (int i = 0; i < kQuantBlock / 2; ++i) {
      out_b[i] = d * static_cast<float>((x[b].q[i] & 15) - 8);
      out_b[i + kQuantBlock / 2] = d * static_cast<float>((x[b].q[i] >> 4) - 8);
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
