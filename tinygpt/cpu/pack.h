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

// panel[k * Width + i] = source[k * step + i]: the panels' side is contiguous in the source. Panel
// number p begins at panels + p * panel_floats.
// A few rows of the source at a time are dealt out to all panels: one panel after the other would
// fetch every line and every page of the source several times, and row after row would write to
// many panels at once, whose places in the cache collide.
template <int Width>
void pack_along(float* panels, std::int64_t panel_floats, const float* source, std::int64_t step,
                std::int64_t width, std::int64_t depth) {
  constexpr std::int64_t kRowsAtATime = 32;
  for (std::int64_t k0 = 0; k0 < depth; k0 += kRowsAtATime) {
    const std::int64_t k1 = std::min(k0 + kRowsAtATime, depth);
    float* panel = panels;
    for (std::int64_t i = 0; i < width; i += Width, panel += panel_floats) {
      if (width - i >= Width) {
        for (std::int64_t k = k0; k < k1; ++k) {
          std::memcpy(panel + k * Width, source + k * step + i, Width * sizeof(float));
        }
      } else {
        const std::size_t bytes = static_cast<std::size_t>(width - i) * sizeof(float);
        for (std::int64_t k = k0; k < k1; ++k) {
          std::memset(panel + k * Width, 0, Width * sizeof(float));
          std::memcpy(panel + k * Width, source + k * step + i, bytes);
        }
      }
    }
  }
}

// Packs `width` of the matrix's rows, `depth` of its columns, into panels of Width rows, one after
// the other.
template <int Width>
void pack(float* panels, const MatrixView& source, std::int64_t width, std::int64_t depth) {
  if (source.column_step != 1) {
    pack_along<Width>(panels, Width * depth, source.data, source.column_step, width, depth);
    return;
  }
  for (std::int64_t i = 0; i < width; i += Width) {
    pack_across<Width>(panels + i * depth, source.data + i * source.row_step, source.row_step,
                       static_cast<int>(std::min<std::int64_t>(Width, width - i)), depth);
  }
}

}  // namespace tinygpt::cpu
