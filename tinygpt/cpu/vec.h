// Vectors of floats as wide as the machine's registers, written once with compiler vector types:
// 16 lanes with AVX-512, 8 with AVX, 4 with SSE or NEON; one where TINYGPT_SCALAR asks for none.
#pragma once

#if defined(__AVX512F__) && !defined(TINYGPT_SCALAR)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>
#include <utility>

namespace tinygpt::cpu {

#if defined(TINYGPT_SCALAR)
inline constexpr int kLanes = 1;
#elif defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::int32_t IntVec __attribute__((vector_size(kLanes * sizeof(std::int32_t))));
typedef std::uint32_t UintVec __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));

// The same bits under another type of the same size.
template <class To, class From>
inline To bit_cast_vec(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// memcpy states an access without alignment; it compiles to one move.
inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof(v)); }

// The first n lanes, 0 <= n <= kLanes; the others are `fill`. Nothing beyond p[n - 1] is touched.
inline Vec load_part(const float* p, std::int64_t n, float fill = 0.0f) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = fill;
  if (n > 0) std::memcpy(lanes, p, static_cast<std::size_t>(n) * sizeof(float));
  return load(lanes);
}

inline void store_part(float* p, Vec v, std::int64_t n) {
  float lanes[kLanes];
  store(lanes, v);
  if (n > 0) std::memcpy(p, lanes, static_cast<std::size_t>(n) * sizeof(float));
}

inline Vec broadcast(float x) { return x - Vec{}; }

// Comparisons are false for NaN, so max(x, NaN) is NaN and max(NaN, y) is y. GCC 12 makes a
// comparison and a selection of that; with 16 lanes the processor has one instruction for it.
#if defined(__AVX512F__) && !defined(TINYGPT_SCALAR)
inline Vec max(Vec x, Vec y) {
  return bit_cast_vec<Vec>(
      _mm512_maskz_max_ps(0xFFFF, bit_cast_vec<__m512>(x), bit_cast_vec<__m512>(y)));
}
inline Vec min(Vec x, Vec y) {
  return bit_cast_vec<Vec>(
      _mm512_maskz_min_ps(0xFFFF, bit_cast_vec<__m512>(x), bit_cast_vec<__m512>(y)));
}
#else
inline Vec max(Vec x, Vec y) { return x > y ? x : y; }
inline Vec min(Vec x, Vec y) { return x < y ? x : y; }
#endif

namespace detail {

// Lane i of the result is lane i ^ Step of v: halves, quarters, ... change places.
template <int Step, std::size_t... I>
inline Vec swap_lanes(Vec v, std::index_sequence<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(v, v, (I ^ Step)...);
#else
  return __builtin_shuffle(v, IntVec{int(I ^ Step)...});
#endif
}

}  // namespace detail

template <int Step>
inline Vec swap_lanes(Vec v) {
  return detail::swap_lanes<Step>(v, std::make_index_sequence<kLanes>{});
}

// Halves are added, then quarters, and so on: always the same order.
inline float sum_lanes(Vec v) {
  if constexpr (kLanes > 8) v += swap_lanes<8>(v);
  if constexpr (kLanes > 4) v += swap_lanes<4>(v);
  if constexpr (kLanes > 2) v += swap_lanes<2>(v);
  if constexpr (kLanes > 1) v += swap_lanes<1>(v);
  return v[0];
}

// NaN in any lane gives NaN: a maximum that lost it would let softmax hide a broken row.
inline float max_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  float best = lanes[0];
  for (int i = 1; i < kLanes; ++i) best = lanes[i] > best || lanes[i] != lanes[i] ? lanes[i] : best;
  return best;
}

namespace detail {

// One butterfly of the transposition: what lies outside the diagonal of the 2 x 2 blocks of
// Step x Step lanes changes places.
template <int Step, std::size_t... I>
inline void swap_blocks(Vec& a, Vec& b, std::index_sequence<I...>) {
  const Vec x = a, y = b;
#if defined(__clang__)
  a = __builtin_shufflevector(x, y, ((I & Step) ? kLanes + I - Step : I)...);
  b = __builtin_shufflevector(x, y, ((I & Step) ? kLanes + I : I + Step)...);
#else
  a = __builtin_shuffle(x, y, IntVec{int((I & Step) ? kLanes + I - Step : I)...});
  b = __builtin_shuffle(x, y, IntVec{int((I & Step) ? kLanes + I : I + Step)...});
#endif
}

template <int Step>
inline void transpose_step(Vec (&v)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & Step) == 0) swap_blocks<Step>(v[i], v[i + Step], std::make_index_sequence<kLanes>{});
  }
}

}  // namespace detail

// Transposes the kLanes x kLanes matrix whose rows are v, in registers.
inline void transpose(Vec (&v)[kLanes]) {
  if constexpr (kLanes > 1) detail::transpose_step<1>(v);
  if constexpr (kLanes > 2) detail::transpose_step<2>(v);
  if constexpr (kLanes > 4) detail::transpose_step<4>(v);
  if constexpr (kLanes > 8) detail::transpose_step<8>(v);
}

}  // namespace tinygpt::cpu
