// Warp shuffles, votes and reductions.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "tinygpt/simt/host/kernel.h"

namespace tinygpt::simt {

// What the lanes of a mask do together. Each brings a value and, for a shuffle, the lane whose
// value it wants; when the last has come, all get their results.
enum class Collective {
  sync,
  shuffle,
  ballot,
  match,
  add,
  minimum,
  maximum,
  minimum_signed,
  maximum_signed,
  bit_and,
  bit_or,
  bit_xor,
  call
};

std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t value, int source,
                         std::source_location where);
unsigned active_mask();

template <class T>
TINYGPT_SIMT_INLINE std::uint64_t to_word(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  if constexpr (sizeof(T) == 8) return __builtin_bit_cast(std::uint64_t, value);
  if constexpr (sizeof(T) == 4) return __builtin_bit_cast(std::uint32_t, value);
  if constexpr (sizeof(T) == 2) return __builtin_bit_cast(std::uint16_t, value);
  if constexpr (sizeof(T) == 1) return __builtin_bit_cast(std::uint8_t, value);
}

template <class T>
TINYGPT_SIMT_INLINE T from_word(std::uint64_t word) {
  if constexpr (sizeof(T) == 8) return __builtin_bit_cast(T, word);
  if constexpr (sizeof(T) == 4) return __builtin_bit_cast(T, static_cast<std::uint32_t>(word));
  if constexpr (sizeof(T) == 2) return __builtin_bit_cast(T, static_cast<std::uint16_t>(word));
  if constexpr (sizeof(T) == 1) return __builtin_bit_cast(T, static_cast<std::uint8_t>(word));
}

template <class T>
TINYGPT_SIMT_INLINE T shuffle(unsigned mask, T value, int source, std::source_location where) {
  return from_word<T>(collective(Collective::shuffle, mask, to_word(value), source, where));
}

TINYGPT_SIMT_INLINE int lane() { return static_cast<int>(registers.linear % 32); }

}  // namespace tinygpt::simt

template <class T>
TINYGPT_SIMT_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32,
                                  std::source_location where = std::source_location::current()) {
  const int lane = tinygpt::simt::lane();
  return tinygpt::simt::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), where);
}
template <class T>
TINYGPT_SIMT_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                     std::source_location where = std::source_location::current()) {
  const int lane = tinygpt::simt::lane(), first = lane & ~(width - 1);
  const int source = lane - static_cast<int>(delta);
  return tinygpt::simt::shuffle(mask, value, source < first ? lane : source, where);
}
template <class T>
TINYGPT_SIMT_INLINE T
__shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 std::source_location where = std::source_location::current()) {
  const int lane = tinygpt::simt::lane(), end = (lane & ~(width - 1)) + width;
  const int source = lane + static_cast<int>(delta);
  return tinygpt::simt::shuffle(mask, value, source >= end ? lane : source, where);
}
template <class T>
TINYGPT_SIMT_INLINE T
__shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                std::source_location where = std::source_location::current()) {
  const int lane = tinygpt::simt::lane(), end = (lane & ~(width - 1)) + width;
  const int source = lane ^ lane_mask;
  return tinygpt::simt::shuffle(mask, value, source >= end ? lane : source, where);
}

TINYGPT_SIMT_INLINE void __syncwarp(unsigned mask = 0xffffffffu,
                                    std::source_location where = std::source_location::current()) {
  tinygpt::simt::collective(tinygpt::simt::Collective::sync, mask, 0, 0, where);
}
TINYGPT_SIMT_INLINE unsigned __ballot_sync(
    unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  using tinygpt::simt::Collective;
  return static_cast<unsigned>(
      tinygpt::simt::collective(Collective::ballot, mask, predicate != 0, 0, where));
}
TINYGPT_SIMT_INLINE int __any_sync(unsigned mask, int predicate,
                                   std::source_location where = std::source_location::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}
TINYGPT_SIMT_INLINE int __all_sync(unsigned mask, int predicate,
                                   std::source_location where = std::source_location::current()) {
  return __ballot_sync(mask, predicate, where) == mask;
}
TINYGPT_SIMT_INLINE unsigned __activemask() { return tinygpt::simt::active_mask(); }

template <class T>
TINYGPT_SIMT_INLINE unsigned __match_any_sync(
    unsigned mask, T value, std::source_location where = std::source_location::current()) {
  using tinygpt::simt::Collective;
  return static_cast<unsigned>(
      tinygpt::simt::collective(Collective::match, mask, tinygpt::simt::to_word(value), 0, where));
}

template <class T>
TINYGPT_SIMT_INLINE T __reduce_add_sync(
    unsigned mask, T value, std::source_location where = std::source_location::current()) {
  static_assert(std::is_integral_v<T> && sizeof(T) == 4, "the device reduces 32-bit integers");
  using tinygpt::simt::Collective;
  return static_cast<T>(
      tinygpt::simt::collective(Collective::add, mask, static_cast<unsigned>(value), 0, where));
}
template <class T>
TINYGPT_SIMT_INLINE T __reduce_min_sync(
    unsigned mask, T value, std::source_location where = std::source_location::current()) {
  static_assert(std::is_integral_v<T> && sizeof(T) == 4, "the device reduces 32-bit integers");
  using tinygpt::simt::Collective;
  constexpr auto kind = std::is_signed_v<T> ? Collective::minimum_signed : Collective::minimum;
  return static_cast<T>(
      tinygpt::simt::collective(kind, mask, static_cast<unsigned>(value), 0, where));
}
template <class T>
TINYGPT_SIMT_INLINE T __reduce_max_sync(
    unsigned mask, T value, std::source_location where = std::source_location::current()) {
  static_assert(std::is_integral_v<T> && sizeof(T) == 4, "the device reduces 32-bit integers");
  using tinygpt::simt::Collective;
  constexpr auto kind = std::is_signed_v<T> ? Collective::maximum_signed : Collective::maximum;
  return static_cast<T>(
      tinygpt::simt::collective(kind, mask, static_cast<unsigned>(value), 0, where));
}
TINYGPT_SIMT_INLINE unsigned __reduce_and_sync(
    unsigned mask, unsigned value, std::source_location where = std::source_location::current()) {
  using tinygpt::simt::Collective;
  return static_cast<unsigned>(
      tinygpt::simt::collective(Collective::bit_and, mask, value, 0, where));
}
TINYGPT_SIMT_INLINE unsigned __reduce_or_sync(
    unsigned mask, unsigned value, std::source_location where = std::source_location::current()) {
  using tinygpt::simt::Collective;
  return static_cast<unsigned>(
      tinygpt::simt::collective(Collective::bit_or, mask, value, 0, where));
}
