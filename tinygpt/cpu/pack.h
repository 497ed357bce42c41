// Packing: a block of a matrix is copied into the order in which the microkernel reads it, so that
// every load of the inner loop is next to the one before, whatever the matrix's layout.
//
// A packed panel holds `Width` rows (of A) or columns (of B) side by side for each step of the
// inner dimension: panel[k * Width + i]. Places past the edge of the matrix hold zeros.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

// A matrix of any layout: element (i, j) lies at data[i * row_step + j * column_step], and one of
// the steps is 1. Swapping the two transposes.
struct MatrixView {
  const float* data;
  std::int64_t row_step;
  std::int64_t column_step;
};

namespace detail {

// Stores lanes [0, n) where the next store overwrites the others, so that a whole vector may go.
inline void store_then_overwrite(float* to, Vec v, int n, bool last) {
  if (n == kLanes || !last) {
    store(to, v);
  } else {
    store_part(to, v, n);
  }
}

}  // namespace detail

// panel[k * Width + i] = source[i * step + k]: the inner dimension is contiguous in the source.
// kLanes x kLanes blocks are transposed in registers, which is four times as fast as element by
// element.
template <int Width>
void pack_across(float* panel, const float* source, std::int64_t step, int width,
                 std::int64_t depth) {
  for (std::int64_t k = 0; k < depth; k += kLanes) {
    const int steps = static_cast<int>(std::min<std::int64_t>(kLanes, depth - k));
    Vec block[(Width + kLanes - 1) / kLanes][kLanes];
#pragma GCC unroll 4
    for (int i0 = 0; i0 < Width; i0 += kLanes) {
      Vec(&v)[kLanes] = block[i0 / kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        const float* row = source + (i0 + i) * step + k;
        v[i] = i0 + i >= width ? Vec{} : steps == kLanes ? load(row) : load_part(row, steps);
      }
      transpose(v);
    }
    for (int j = 0; j < steps; ++j) {
#pragma GCC unroll 4
      for (int i0 = 0; i0 < Width; i0 += kLanes) {
        detail::store_then_overwrite(panel + (k + j) * Width + i0, block[i0 / kLanes][j],
                                     std::min(kLanes, Width - i0), k + j + 1 == depth);
      }
    }
  }
}

// panel[k * Width + i] = source[k * step + i]: the panel's side is contiguous in the source.
template <int Width>
void pack_along(float* panel, const float* source, std::int64_t step, int width,
                std::int64_t depth) {
  for (std::int64_t k = 0; k < depth; ++k, panel += Width, source += step) {
    if (width == Width) {
      std::memcpy(panel, source, Width * sizeof(float));
    } else {
      std::memset(panel, 0, Width * sizeof(float));
      std::memcpy(panel, source, static_cast<std::size_t>(width) * sizeof(float));
    }
  }
}

// Packs `width` (at most Width) of the matrix's rows, `depth` of its columns, from `source`.
template <int Width>
void pack(float* panel, const MatrixView& source, int width, std::int64_t depth) {
  if (source.column_step == 1) {
    pack_across<Width>(panel, source.data, source.row_step, width, depth);
  } else {
    pack_along<Width>(panel, source.data, source.column_step, width, depth);
  }
}

}  // namespace tinygpt::cpu
