// Packing: a block of a matrix is copied into the order in which the microkernel reads it, so that
// every load of the inner loop is next to the one before, whatever the matrix's layout.
//
// A packed panel holds `Width` rows (of A) or columns (of B) side by side for each step of the
// inner dimension: panel[k * Width + i]. Places past the edge of the matrix hold zeros. Where an
// element holds several steps of the depth (operands.h), k counts elements; `depth` counts floats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tinygpt/cpu/operands.h"
#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

// A matrix of any layout: element (i, j) lies at data[i * row_step + j * column_step], and one of
// the steps is 1. Swapping the two transposes.
struct MatrixView {
  const float* data;
  std::int64_t row_step;
  std::int64_t column_step;
};

// Elements that hold so many steps of the depth.
template <class Operands>
constexpr std::int64_t elements_of(std::int64_t depth) {
  return (depth + Operands::kDepth - 1) / Operands::kDepth;
}

namespace detail {

template <class Element>
inline void store_elements(Element* to, Vec v, std::int64_t n = kLanes) {
  static_assert(sizeof(Element) == sizeof(float));
  std::memcpy(to, &v, static_cast<std::size_t>(n) * sizeof(Element));
}

// Stores lanes [0, n) where the next store overwrites the others, so that a whole vector may go.
template <class Element>
inline void store_then_overwrite(Element* to, Vec v, int n, bool last) {
  if (n == kLanes || !last) {
    store_elements(to, v);
  } else {
    store_elements(to, v, n);
  }
}

// Lanes [0, n) of p where fewer than kLanes are left.
inline Vec load_up_to(const float* p, std::int64_t n) {
  return n >= kLanes ? load(p) : load_part(p, std::max<std::int64_t>(n, 0));
}

// panel[i] = elements of `steps` rows of the source, which have `left` values from here on. The
// next step overwrites what lies behind the panel, unless this is the last.
template <int Width, class Operands>
inline void pack_step(typename Operands::Element* panel, const float* row, std::int64_t step,
                      std::int64_t steps, std::int64_t left, bool last) {
  if constexpr (!Operands::kRounded) {
    if (left >= Width) {
      std::memcpy(panel, row, Width * sizeof(float));
    } else {
      std::memset(panel, 0, Width * sizeof(float));
      std::memcpy(panel, row, static_cast<std::size_t>(left) * sizeof(float));
    }
  } else {
#pragma GCC unroll 4
    for (int i = 0; i < Width; i += kLanes) {
      const Vec first = load_up_to(row + i, left - i);
      const Vec second = steps > 1 ? load_up_to(row + step + i, left - i) : Vec{};
      store_then_overwrite(panel + i, Operands::across_depth(first, second),
                           std::min(kLanes, Width - i), last);
    }
  }
}

}  // namespace detail

// panel[k * Width + i] = source[i * step + k]: the inner dimension is contiguous in the source.
// kLanes x kLanes blocks are transposed in registers, which is four times as fast as element by
// element.
template <int Width, class Operands = FloatOperands>
void pack_across(typename Operands::Element* panel, const float* source, std::int64_t step,
                 int width, std::int64_t depth) {
  const std::int64_t elements = elements_of<Operands>(depth);
  for (std::int64_t k = 0; k < elements; k += kLanes) {
    const int steps = static_cast<int>(std::min<std::int64_t>(kLanes, elements - k));
    const std::int64_t first = k * Operands::kDepth;
    Vec block[(Width + kLanes - 1) / kLanes][kLanes];
#pragma GCC unroll 4
    for (int i0 = 0; i0 < Width; i0 += kLanes) {
      Vec(&v)[kLanes] = block[i0 / kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        const float* row = source + (i0 + i) * step + first;
        v[i] = i0 + i >= width ? Vec{} : Operands::along_depth(row, depth - first);
      }
      transpose(v);
    }
    for (int j = 0; j < steps; ++j) {
#pragma GCC unroll 4
      for (int i0 = 0; i0 < Width; i0 += kLanes) {
        detail::store_then_overwrite(panel + (k + j) * Width + i0, block[i0 / kLanes][j],
                                     std::min(kLanes, Width - i0), k + j + 1 == elements);
      }
    }
  }
}

// panel[k * Width + i] = source[k * step + i]: the panels' side is contiguous in the source. Panel
// number p begins at panels + p * panel_floats.
// A few rows of the source at a time are dealt out to all panels: one panel after the other would
// fetch every line and every page of the source several times, and row after row would write to
// many panels at once, whose places in the cache collide.
template <int Width, class Operands = FloatOperands>
void pack_along(typename Operands::Element* panels, std::int64_t panel_size, const float* source,
                std::int64_t step, std::int64_t width, std::int64_t depth) {
  constexpr std::int64_t kElementsAtATime = 32 / Operands::kDepth;
  const std::int64_t elements = elements_of<Operands>(depth);
  for (std::int64_t k0 = 0; k0 < elements; k0 += kElementsAtATime) {
    const std::int64_t k1 = std::min(k0 + kElementsAtATime, elements);
    typename Operands::Element* panel = panels;
    for (std::int64_t i = 0; i < width; i += Width, panel += panel_size) {
      for (std::int64_t k = k0; k < k1; ++k) {
        const std::int64_t steps =
            std::min<std::int64_t>(Operands::kDepth, depth - k * Operands::kDepth);
        detail::pack_step<Width, Operands>(panel + k * Width,
                                           source + k * Operands::kDepth * step + i, step, steps,
                                           width - i, k + 1 == k1);
      }
    }
  }
}

// Packs `width` of the matrix's rows, `depth` of its columns, into panels of Width rows, one after
// the other.
template <int Width, class Operands = FloatOperands>
void pack(typename Operands::Element* panels, const MatrixView& source, std::int64_t width,
          std::int64_t depth) {
  const std::int64_t elements = elements_of<Operands>(depth);
  if (source.column_step != 1) {
    pack_along<Width, Operands>(panels, Width * elements, source.data, source.column_step, width,
                                depth);
    return;
  }
  for (std::int64_t i = 0; i < width; i += Width) {
    pack_across<Width, Operands>(panels + i * elements, source.data + i * source.row_step,
                                 source.row_step,
                                 static_cast<int>(std::min<std::int64_t>(Width, width - i)), depth);
  }
}

// rows[i * row_size + k]: the matrix's rows stay rows, for a microkernel that reads them where they
// lie, and need no transposition. A row_size of a multiple of kLanes that holds `depth` floats.
template <class Operands>
void pack_rows(typename Operands::Element* rows, std::int64_t row_size, const MatrixView& source,
               std::int64_t width, std::int64_t depth) {
  for (std::int64_t i = 0; i < width; ++i) {
    const float* row = source.data + i * source.row_step;
    typename Operands::Element* to = rows + i * row_size;
    for (std::int64_t k = 0; k < depth; k += kLanes * Operands::kDepth, to += kLanes) {
      detail::store_elements(to, Operands::along_depth(row + k, depth - k));
    }
  }
}

}  // namespace tinygpt::cpu
