// What the operands of a matrix product are between packing and the microkernel: floats as they
// come, or rounded to bf16. The product's blocking is the same for both.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "tinygpt/cpu/vec.h"

#if defined(__AVX512BF16__) && defined(__AVX512BW__) && !defined(TINYGPT_SCALAR)
#define TINYGPT_BF16_PAIRS
#include <immintrin.h>
#endif

namespace tinygpt::cpu {

// Element is what packing writes and the microkernel reads; it holds kDepth consecutive steps of
// the depth. Vectors of elements are kept in a Vec, whatever their bits mean.
struct FloatOperands {
  using Element = float;
  static constexpr int kDepth = 1;
  static constexpr bool kRounded = false;

  // The elements of the n floats at p, which follow each other along the depth; zeros beyond.
  static Vec along_depth(const float* p, std::int64_t n) {
    return n >= kLanes ? load(p) : load_part(p, n);
  }
  // Lane i holds first[i], and, in elements of two steps, second[i] for the step after it.
  static Vec across_depth(Vec first, Vec /*second*/) { return first; }

  static Vec load_elements(const float* p) { return load(p); }
  static Vec broadcast_element(float x) { return broadcast(x); }
  static Vec multiply_add(Vec sum, Vec a, Vec b) { return sum + a * b; }
};

// Each lane to the nearest bf16, ties to even, as a float; NaN stays NaN.
inline Vec round_to_bf16(Vec x) {
  const UintVec bits = bit_cast_vec<UintVec>(x);
  const UintVec rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  return x == x ? bit_cast_vec<Vec>(rounded) : x;
}

#if defined(TINYGPT_BF16_PAIRS)

// An element is a pair of bf16, the earlier step in its lower half. One instruction multiplies the
// pairs of 16 lanes and adds both products: 32 multiplications where floats have 16, and as many
// instructions a cycle (1.9 times the speed of floats, packing included, on Zen 5).
struct Bf16Operands {
  using Element = std::uint32_t;
  static constexpr int kDepth = 2;
  static constexpr bool kRounded = true;

  static Vec along_depth(const float* p, std::int64_t n) {
    if (n >= 2 * kLanes) return round_pair(load(p), load(p + kLanes));
    return round_pair(load_part(p, std::min<std::int64_t>(n, kLanes)),
                      n > kLanes ? load_part(p + kLanes, n - kLanes) : Vec{});
  }
  static Vec across_depth(Vec first, Vec second) {
    alignas(64) static constexpr std::uint16_t kInTurn[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const auto halves = bit_cast_vec<__m512i>(round_pair(first, second));
    return bit_cast_vec<Vec>(_mm512_permutexvar_epi16(_mm512_load_si512(kInTurn), halves));
  }

  static Vec load_elements(const Element* p) {
    Vec v;
    std::memcpy(&v, p, sizeof(v));
    return v;
  }
  static Vec broadcast_element(Element x) { return bit_cast_vec<Vec>(UintVec{} + x); }
  static Vec multiply_add(Vec sum, Vec a, Vec b) {
    return bit_cast_vec<Vec>(_mm512_dpbf16_ps(bit_cast_vec<__m512>(sum), bit_cast_vec<__m512bh>(a),
                                              bit_cast_vec<__m512bh>(b)));
  }

 private:
  // 32 bf16: those of `low`, then those of `high`.
  static Vec round_pair(Vec low, Vec high) {
    return bit_cast_vec<Vec>(
        _mm512_cvtne2ps_pbh(bit_cast_vec<__m512>(high), bit_cast_vec<__m512>(low)));
  }
};

#else

// Without such an instruction: rounded when they are packed, and multiplied as floats.
struct Bf16Operands : FloatOperands {
  static constexpr bool kRounded = true;

  static Vec along_depth(const float* p, std::int64_t n) {
    return round_to_bf16(FloatOperands::along_depth(p, n));
  }
  static Vec across_depth(Vec first, Vec /*second*/) { return round_to_bf16(first); }
};

#endif

}  // namespace tinygpt::cpu
