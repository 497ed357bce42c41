// The functions that softmax, GELU and SwiGLU need, on whole vectors.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "tinygpt/cpu/loops.h"
#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

// x 2^n with one rounding, for whole numbers n whose low bits are those of `shifted`.
inline Vec times_power_of_two(Vec x, [[maybe_unused]] Vec shifted, [[maybe_unused]] Vec n) {
#if defined(__AVX512F__)
  // One instruction multiplies by 2^n and rounds once. Attention's forward pass at T = 256 takes a
  // tenth less time for it (Zen 5).
  return bit_cast_vec<Vec>(
      _mm512_maskz_scalef_ps(0xFFFF, bit_cast_vec<__m512>(x), bit_cast_vec<__m512>(n)));
#else
  const IntVec whole = bit_cast_vec<IntVec>(shifted) - 0x4B400000;
  const IntVec half = whole >> 1;
  const Vec factor1 = bit_cast_vec<Vec>((half + 127) << 23);
  const Vec factor2 = bit_cast_vec<Vec>((whole - half + 127) << 23);
  return x * factor1 * factor2;
#endif
}

// e^x. With n = round(x / ln 2) and r = x - n ln 2, which lies within ln(2) / 2 of 0:
// e^x = 2^n e^r, and e^r = 1 + r + r^2 q(r) with a polynomial q of degree 4 that minimises the
// largest relative error (3.1e-9, from the Remez exchange algorithm). ln 2 is subtracted in two
// parts, of which the first has so few bits that n times it is exact. 2^n goes in as two factors,
// so that results below the normal range are rounded once and not lost.
//
// Largest error: 1.01 units in the last place (a sweep over every 97th float). e^-inf is 0, results
// above the range of float are inf, NaN stays NaN.
inline Vec exp(Vec x) {
  // Beyond these the result is 0 or inf; inside, n fits the exponent arithmetic below.
  const Vec lowest = broadcast(-104.5f), highest = broadcast(89.5f);
  x = max(lowest, x);  // in this order NaN stays NaN
  x = min(highest, x);
  // Adding 1.5 * 2^23 leaves no bits for a fraction: the sum's low bits are n.
  const Vec shift = broadcast(0x1.8p23f);
  const Vec shifted = x * 0x1.715476p0f + shift;
  const Vec n = shifted - shift;
  Vec r = x - n * 0x1.62e4p-1f;
  r = r - n * 0x1.7f7d1cp-20f;
  Vec q = broadcast(0x1.6a23e0p-10f);
  q = q * r + 0x1.123a20p-7f;
  q = q * r + 0x1.5558f2p-5f;
  q = q * r + 0x1.555492p-3f;
  q = q * r + 0x1.fffffcp-2f;
  const Vec e_r = (q * r) * r + r + 1.0f;
  return times_power_of_two(e_r, shifted, n);
}

inline constexpr float kLog2E = 0x1.715476p0f;

// 2^x, of which a softmax needs a step less than of e^x: the fraction r = x - floor(x) is exact.
// 2^r = 1 + r q(r) with a polynomial q of degree 5 that minimises the largest relative error for r
// in [0, 1] (2.1e-9). Largest error: 1.6 units in the last place (a sweep over every 97th float).
// 2^-inf is 0, results above the range of float are inf, NaN stays NaN. Attention's softmax takes
// 4.4 cycles for 16 values with it, and 7.9 with exp (Zen 5).
inline Vec exp2(Vec x) {
#if defined(__AVX512F__)
  // One instruction gives r, and the one that multiplies by 2^n rounds n down itself.
  const Vec r = bit_cast_vec<Vec>(_mm512_maskz_reduce_ps(
                0xFFFF, bit_cast_vec<__m512>(x), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)),
            n = x, shifted{};
#else
  x = max(broadcast(-151.0f), x);
  x = min(broadcast(129.0f), x);
  const Vec shift = broadcast(0x1.8p23f);
  const Vec shifted = (x - 0.5f) + shift;
  const Vec n = shifted - shift;
  const Vec r = x - n;
#endif
  Vec q = broadcast(0x1.c44580p-13f);
  q = q * r + 0x1.473738p-10f;
  q = q * r + 0x1.3cfd82p-7f;
  q = q * r + 0x1.c68af6p-5f;
  q = q * r + 0x1.ebfd3ap-3f;
  q = q * r + 0x1.62e42cp-1f;
  return times_power_of_two(q * r + 1.0f, shifted, n);
}

inline Vec abs(Vec x) { return bit_cast_vec<Vec>(bit_cast_vec<IntVec>(x) & 0x7FFFFFFF); }

// 1 / (1 + e^-x), and what is missing to 1. Both come from e^-|x|, which cannot overflow, and
// neither from a difference, so both keep their relative accuracy: 2.8 units in the last place.
struct Sigmoid {
  Vec value, rest;
};
inline Sigmoid sigmoid(Vec x) {
  const Vec e = exp(-abs(x));
  const Vec larger = 1.0f / (1.0f + e);
  const Vec smaller = e * larger;
  const IntVec negative = x < 0.0f;
  return {negative ? smaller : larger, negative ? larger : smaller};
}

// GELU's tanh is a sigmoid: 0.5 (1 + tanh(u)) = 1 / (1 + e^(-2 u)), so one power of two and one
// division make it. 2 u = k (x + c x^3) with k = 2 sqrt(2 / pi).
inline constexpr float kGeluScale = 1.5957691216057308f;
inline constexpr float kGeluCube = 0.044715f;

// e^(-2 u), given x and x^2.
inline Vec gelu_power(Vec x, Vec x2) {
  return exp2((-kGeluScale * kLog2E) * x * (1.0f + kGeluCube * x2));
}

inline Vec gelu(Vec x) { return x / (1.0f + gelu_power(x, x * x)); }

// With s = 1 / (1 + e^(-2 u)): gelu'(x) = s + x s (1 - s) (2 u)'(x), and 1 - s = e^(-2 u) s, which
// is no difference of nearly equal numbers.
inline Vec gelu_derivative(Vec x) {
  // Beyond 10 it is 0 or 1 to 35 digits; within, the power is finite.
  x = max(broadcast(-10.0f), x);  // in this order NaN stays NaN
  x = min(broadcast(10.0f), x);
  const Vec x2 = x * x;
  const Vec power = gelu_power(x, x2);
  const Vec s = 1.0f / (1.0f + power);
  return s + x * (s * (power * s)) * (kGeluScale * (1.0f + 3.0f * kGeluCube * x2));
}

// d[i] *= gelu'(x[i])
inline void multiply_by_gelu_slope(float* d, const float* x, std::int64_t n) {
  each_vector(0, n, [=](auto io, std::int64_t i) {
    io.store(d + i, io.load(d + i) * gelu_derivative(io.load(x + i)));
  });
}

inline void gelu_forward_range(float* out, const float* x, std::int64_t n) {
  each_vector(0, n, [=](auto io, std::int64_t i) { io.store(out + i, gelu(io.load(x + i))); });
}

}  // namespace tinygpt::cpu
