// Dot products of bytes, four at a time into each 32-bit lane: what quantized products are made of.
// One type per instruction set, the widest last; kernels are templates over it.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <cstdint>

#include "tinygpt/core/float16.h"

namespace tinygpt::cpu {

// Any machine. `dot` is acc[i] + sum_j weight[4 i + j] * x[4 i + j] for j < 4, where weights are
// bytes without a sign and x bytes with one. Weights of eight bits are stored as q + 128, weights
// of four bits as q + 8, so each implementation says what is left to subtract: kOffset8 * sum x.
struct PlainDot {
  static constexpr int kLanes = 4;
  static constexpr int kRows = 4;  // rows of x at a time: their sums have to stay in registers
  static constexpr int kOffset8 = 128;
  typedef std::int32_t Int __attribute__((vector_size(16)));
  typedef float Float __attribute__((vector_size(16)));

  // Bytes at even and at odd places, in 16 bits: 255 * 127 fits. Two neighbours of either kind make
  // a lane's four.
  static Int dot(Int acc, Int weight, Int x) {
    const Short w_even = (Short)weight & 255, w_odd = (Short)((UShort)weight >> 8);
    const Short x_even = (Short)((UShort)x << 8) >> 8, x_odd = (Short)x >> 8;
    return acc + neighbours(w_even * x_even) + neighbours(w_odd * x_odd);
  }
  static Int dot8(Int acc, Int weight, Int x) { return dot(acc, weight, x); }
  static Float widen(const Float16* h) { return Float{h[0], h[1], h[2], h[3]}; }

 private:
  typedef std::int16_t Short __attribute__((vector_size(16)));
  typedef std::uint16_t UShort __attribute__((vector_size(16)));
  typedef std::uint32_t UInt __attribute__((vector_size(16)));
  static Int neighbours(Short products) {
    const Int both = (Int)products;
    return ((Int)((UInt)both << 16) >> 16) + (both >> 16);
  }
};

#if defined(__AVX2__) && defined(__F16C__)

// AVX2 multiplies bytes into pairs of 16 bits, which saturate: four bits always fit, and eight bits
// do where the signless factor is a magnitude, with its sign handed to x. |q| <= 128, |x| <= 127:
// 2 * 128 * 127 < 32768. With AVX-VNNI the four products add in 32 bits and no care is needed.
struct Avx2Dot {
  static constexpr int kLanes = 8;
  static constexpr int kRows = 4;
  typedef std::int32_t Int __attribute__((vector_size(32)));
  typedef float Float __attribute__((vector_size(32)));

#if defined(__AVXVNNI__)
  static constexpr int kOffset8 = 128;
  static Int dot(Int acc, Int weight, Int x) {
    return (Int)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)weight, (__m256i)x);
  }
  static Int dot8(Int acc, Int weight, Int x) { return dot(acc, weight, x); }
#else
  static constexpr int kOffset8 = 0;
  static Int dot(Int acc, Int weight, Int x) {
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)weight, (__m256i)x);
    return acc + (Int)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }
  static Int dot8(Int acc, Int weight, Int x) {
    const __m256i q = _mm256_xor_si256((__m256i)weight, _mm256_set1_epi8(-128));
    return dot(acc, (Int)_mm256_abs_epi8(q), (Int)_mm256_sign_epi8((__m256i)x, q));
  }
#endif
  static Float widen(const Float16* h) {
    return (Float)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(h)));
  }
};

#endif
#if defined(__AVX512VNNI__)

struct Avx512Dot {
  static constexpr int kLanes = 16;
  static constexpr int kRows = 12;
  static constexpr int kOffset8 = 128;
  typedef std::int32_t Int __attribute__((vector_size(64)));
  typedef float Float __attribute__((vector_size(64)));

  static Int dot(Int acc, Int weight, Int x) {
    return (Int)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)weight, (__m512i)x);
  }
  static Int dot8(Int acc, Int weight, Int x) { return dot(acc, weight, x); }
  static Float widen(const Float16* h) {
    // The form without a mask makes GCC 12 warn of a value that it leaves undefined on purpose.
    return (Float)_mm512_maskz_cvtph_ps(0xffff,
                                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(h)));
  }
};

#endif

#if defined(__aarch64__)

// NEON multiplies bytes with a sign: eight-bit weights get theirs back by a flip of the top bit.
// `sdot` (ARMv8.2) adds four products in 32 bits. Without it they are added in pairs of 16 bits:
// 2 * 128 * 127 < 32768. Half of the 32 registers hold the sums of eight rows.
struct NeonDot {
  static constexpr int kLanes = 4;
  static constexpr int kRows = 8;
  static constexpr int kOffset8 = 0;
  typedef std::int32_t Int __attribute__((vector_size(16)));
  typedef float Float __attribute__((vector_size(16)));

  static Int dot(Int acc, Int weight, Int x) {
    const int8x16_t w = (int8x16_t)weight, v = (int8x16_t)x;
#if defined(__ARM_FEATURE_DOTPROD)
    return (Int)vdotq_s32((int32x4_t)acc, w, v);
#else
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(v));
    const int16x8_t high = vmull_s8(vget_high_s8(w), vget_high_s8(v));
    return (Int)vpadalq_s16((int32x4_t)acc, vpaddq_s16(low, high));
#endif
  }
  static Int dot8(Int acc, Int weight, Int x) {
    return dot(acc, (Int)veorq_s8((int8x16_t)weight, vdupq_n_s8(-128)), x);
  }
  static Float widen(const Float16* h) {
    const auto* bits = reinterpret_cast<const std::uint16_t*>(h);
    return (Float)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(bits)));
  }
};

#endif

#if defined(TINYGPT_SCALAR)
using ByteDot = PlainDot;
#elif defined(__AVX512VNNI__)
using ByteDot = Avx512Dot;
#elif defined(__AVX2__) && defined(__F16C__)
using ByteDot = Avx2Dot;
#elif defined(__aarch64__)
using ByteDot = NeonDot;
#else
using ByteDot = PlainDot;
#endif

}  // namespace tinygpt::cpu
