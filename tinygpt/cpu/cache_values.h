// Cached keys and values as vectors of floats, in whatever type they are kept.
#pragma once

#include <cstdint>
#include <cstring>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

typedef std::uint16_t HalfVec __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));
typedef std::int8_t ByteVec __attribute__((vector_size(kLanes)));

inline Vec load_values(const float* p) { return load(p); }

inline Vec load_values(const Bfloat16* p) {
  HalfVec halves;
  std::memcpy(&halves, p, sizeof(halves));
  return bit_cast_vec<Vec>(__builtin_convertvector(halves, UintVec) << 16);
}

inline Vec load_values(const std::int8_t* p) {
  ByteVec bytes;
  std::memcpy(&bytes, p, sizeof(bytes));
  return __builtin_convertvector(__builtin_convertvector(bytes, IntVec), Vec);
}

// The first n values, 0 <= n <= kLanes, and zeros; nothing beyond p[n - 1] is touched.
template <class T>
Vec load_values_part(const T* p, std::int64_t n) {
  T lanes[kLanes];
  std::memset(static_cast<void*>(lanes), 0, sizeof(lanes));
  if (n > 0) std::memcpy(lanes, p, static_cast<std::size_t>(n) * sizeof(T));
  return load_values(lanes);
}

}  // namespace tinygpt::cpu
