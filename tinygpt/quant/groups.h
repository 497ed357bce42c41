// Weights in eight or in four bits, in groups of any size that share a scale.
//
//   symmetric    w' = scale * (code - 2^(bits-1))     the zero is in the middle of the codes
//   asymmetric   w' = scale * (code - zero)           the zero is wherever the group needs it
//
// A group is so many consecutive values of a row; the last one of a row may be shorter.
#pragma once

#include <cstdint>
#include <vector>

#include "tinygpt/core/float16.h"
#include "tinygpt/ops/quantized.h"

namespace tinygpt {

struct GroupFormat {
  int bits = 4;           // 4 or 8
  int group = 32;         // values that share a scale; 0: a whole row
  bool symmetric = true;  // no zero is kept
  bool operator==(const GroupFormat&) const = default;
};

// How a group's scale is found.
// absmax:   so that nothing is clipped. The value of largest magnitude becomes the lowest code, as
//           in Q4_0; asymmetric, the group's least value and its greatest become the two ends.
// searched: so that sum_i H_ii e_i^2 is least, with e = w' - w and H the Hessian of the layer's
//           inputs (ops/quantized.h). Large values may be clipped where the others gain more than
//           they lose.
// outputs:  so that e H e^T is least, with H's block of the group's own columns: by so much the
//           group alone changes the layer's outputs. AWQ's search for clipping; Lin et al.: "AWQ"
//           (2023), section 3.2. Inputs that come together make it differ from `searched`: errors
//           that cancel each other cost nothing.
enum class ScaleRule { absmax, searched, outputs };

// The grid of one group: values scale * (0 - zero) .. scale * (2^bits - 1 - zero).
struct Grid {
  float scale = 0;  // exact in half precision; may be negative
  int zero = 0;
};

struct GroupedMatrix {
  GroupFormat format;
  int rows = 0;
  int cols = 0;
  std::vector<Float16> scale;       // [rows, groups]
  std::vector<std::uint8_t> zero;   // [rows, groups]; empty where the format is symmetric
  std::vector<std::uint8_t> codes;  // [rows, code_bytes]; of four bits, two a byte, low half first

  Grid grid(int row, int group_index) const;
};

// Throws Error, naming what is wrong, unless bits are 4 or 8 and the group is not negative.
void check_format(const GroupFormat& format);

int groups_in(const GroupFormat& format, int cols);  // of one row
int group_size(const GroupFormat& format, int cols);
std::int64_t bytes_in(const GroupFormat& format, int rows, int cols);

// The grid for n values w that meet inputs of the Hessian's first n columns: hessian [n, n] in rows
// of `stride`; nullptr: errors count the same, and none cancel. Throws Error on values that are not
// finite or whose scale is beyond half precision.
Grid find_grid(const float* w, int n, const GroupFormat& format, ScaleRule rule,
               const double* hessian = nullptr, int stride = 0);

// The nearest code, and what it stands for.
int code_of(double w, const Grid& grid, int bits);
inline float value_of(int code, const Grid& grid) {
  return grid.scale * static_cast<float>(code - grid.zero);
}

// An empty matrix of this format with room for everything, and one code of it.
GroupedMatrix make_grouped(const GroupFormat& format, int rows, int cols);
void set_grid(GroupedMatrix& m, int row, int group_index, const Grid& grid);
void set_code(GroupedMatrix& m, int row, int col, int code);
int get_code(const GroupedMatrix& m, int row, int col);

// Round to nearest. w [rows, cols]; hessian [cols, cols], or nullptr.
GroupedMatrix quantize_groups(const float* w, int rows, int cols, const GroupFormat& format,
                              ScaleRule rule, const double* hessian);
// out [m.rows, m.cols] written
void dequantize_groups(float* out, const GroupedMatrix& m);

// The same bits in ggml's blocks. The format must be symmetric with 4 bits in groups of 32.
std::vector<BlockQ4_0> to_q4_0(const GroupedMatrix& m);

}  // namespace tinygpt
