// The CPU's twins of tinygpt/simt/tensor_core.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <source_location>

#include "tinygpt/simt/host/kernel.h"

namespace tinygpt::simt {

// What one lane brings to mma, and where its part of the result goes.
struct MmaLane {
  float* d;
  const std::uint32_t *a, *b;
  const float* c;
};
void mma_bf16(const MmaLane& lane, std::source_location where);
void mma_tf32(const MmaLane& lane, std::source_location where);

// A row of a matrix for ldmatrix: eight 16-bit values.
struct MatrixRow {
  std::uint32_t words[4];
};
// Each lane brings a row and gets a word of each of the matrices.
void spread_matrices(std::uint32_t* r, int matrices, bool transposed, const MatrixRow& row,
                     std::source_location where);

// An asynchronous copy is in flight from its start to its wait: in check mode whoever touches its
// target before that is reported. In run mode it is done at once.
void start_copy(void* shared, const void* global, int bytes, bool copied);
void commit_copies();
void wait_for_copies(int pending);

TINYGPT_SIMT_INLINE void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                  const std::uint32_t (&b)[2], const float (&c)[4],
                                  std::source_location where = std::source_location::current()) {
  mma_bf16(MmaLane{d, a, b, c}, where);
}

TINYGPT_SIMT_INLINE void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                  const std::uint32_t (&b)[2], const float (&c)[4],
                                  std::source_location where = std::source_location::current()) {
  mma_tf32(MmaLane{d, a, b, c}, where);
}

TINYGPT_SIMT_INLINE std::uint32_t to_tf32(float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return finite ? (bits + 0x1000u) & 0xffffe000u : bits;
}

template <int Matrices>
TINYGPT_SIMT_INLINE void load_matrices(std::uint32_t (&r)[Matrices], const void* row,
                                       bool transposed, std::source_location where) {
  MatrixRow mine{};
  if (registers.linear % 32 < 8 * Matrices) {
    // One access of 16 bytes, as the device's: it has to be aligned to that.
    const auto words = *static_cast<const Word<16>::type*>(row);
    std::memcpy(&mine, &words, sizeof mine);
  }
  spread_matrices(r, Matrices, transposed, mine, where);
}

TINYGPT_SIMT_INLINE void ldmatrix_x1(std::uint32_t (&r)[1], const void* row,
                                     std::source_location where = std::source_location::current()) {
  load_matrices(r, row, false, where);
}
TINYGPT_SIMT_INLINE void ldmatrix_x2(std::uint32_t (&r)[2], const void* row,
                                     std::source_location where = std::source_location::current()) {
  load_matrices(r, row, false, where);
}
TINYGPT_SIMT_INLINE void ldmatrix_x4(std::uint32_t (&r)[4], const void* row,
                                     std::source_location where = std::source_location::current()) {
  load_matrices(r, row, false, where);
}
TINYGPT_SIMT_INLINE void ldmatrix_x1_trans(
    std::uint32_t (&r)[1], const void* row,
    std::source_location where = std::source_location::current()) {
  load_matrices(r, row, true, where);
}
TINYGPT_SIMT_INLINE void ldmatrix_x2_trans(
    std::uint32_t (&r)[2], const void* row,
    std::source_location where = std::source_location::current()) {
  load_matrices(r, row, true, where);
}
TINYGPT_SIMT_INLINE void ldmatrix_x4_trans(
    std::uint32_t (&r)[4], const void* row,
    std::source_location where = std::source_location::current()) {
  load_matrices(r, row, true, where);
}

template <int Bytes>
TINYGPT_SIMT_INLINE void cp_async(void* shared, const void* global, bool copied = true) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  if constexpr (TINYGPT_SIMT_IS_CHECKED) {
    start_copy(shared, global, Bytes, copied);
  } else if (copied) {
    std::memcpy(shared, global, Bytes);
  } else {
    std::memset(shared, 0, Bytes);
  }
}
TINYGPT_SIMT_INLINE void cp_async_commit() {
  if constexpr (TINYGPT_SIMT_IS_CHECKED) commit_copies();
}
template <int Pending>
TINYGPT_SIMT_INLINE void cp_async_wait() {
  if constexpr (TINYGPT_SIMT_IS_CHECKED) wait_for_copies(Pending);
}

}  // namespace tinygpt::simt
