#include "exercises/21-quantization/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::mine {
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
  throw NotImplemented("21.quantize_q8_0");
  // end of your code
}

// x'[i] = d * q[i]    with the d of value i's block (a Float16 turns itself into a float)
//
// out [n] written, x [n / 32].
void dequantize_q8_0(float* out, const BlockQ8_0* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  // your code: 21.dequantize
  throw NotImplemented("21.dequantize");
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
  throw NotImplemented("21.quantize_q4_0");
  // end of your code
}

// x'[i] = d * (q[i] - 8)    with q[i] and q[i + 16] in byte i, the low half first
//
// out [n] written, x [n / 32].
void dequantize_q4_0(float* out, const BlockQ4_0* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  // your code: 21.dequantize
  throw NotImplemented("21.dequantize");
  // end of your code
}

}  // namespace tinygpt::mine
