// What a product by tiles becomes where a tile is loaded from the wrong place.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/lessons/19-lora/lora_exam.h"

namespace tinygpt::lessons {

inline constexpr int kTile = 32;  // ref_cuda::kTile

struct TileSlip {
  bool left_turned = false, right_turned = false;  // row and column of the place are exchanged
  bool left_first = false, right_first = false;    // always the first tile along the depth
  bool first_rows = false, first_columns = false;  // of the product, for every block
  const char* nudge = "";
};

inline const std::vector<TileSlip> kTileSlips = {
    {.left_turned = true,
     .nudge = "The place of the left tile is turned: load_tile takes the first row, then the first "
              "column, of the matrix."},
    {.right_turned = true,
     .nudge = "The place of the right tile is turned: load_tile takes the first row, then the "
              "first column, of the transposed matrix."},
    {.left_first = true,
     .nudge = "The left tile is the first along the depth each time: its place moves with the "
              "loop."},
    {.right_first = true,
     .nudge = "The right tile is the first along the depth each time: its place moves with the "
              "loop."},
    {.first_rows = true,
     .nudge = "Every block takes rows 0 to 31 on the left: its own begin at row0."},
    {.first_columns = true,
     .nudge = "Every block takes columns 0 to 31 on the right: its own begin at col0."},
};

// [rows, columns] = left(row, k) right(k, column), summed over k < depth; 0 outside of both.
template <class Left, class Right>
Values tiled(int rows, int columns, int depth, Left&& left, Right&& right, const TileSlip& slip) {
  const auto left_at = [&](int row, int k) { return row < rows && k < depth ? left(row, k) : 0.0; };
  const auto right_at = [&](int k, int column) {
    return k < depth && column < columns ? right(k, column) : 0.0;
  };
  const int padded = (depth + kTile - 1) / kTile * kTile;
  return product(rows, columns, padded, [&](int row, int column, int k) {
    const int row0 = slip.first_rows ? 0 : row / kTile * kTile;
    const int col0 = slip.first_columns ? 0 : column / kTile * kTile;
    const int left0 = slip.left_first ? 0 : k / kTile * kTile;
    const int right0 = slip.right_first ? 0 : k / kTile * kTile;
    const auto [left_row, left_k] =
        slip.left_turned ? std::pair(left0, row0) : std::pair(row0, left0);
    const auto [right_k, right_column] =
        slip.right_turned ? std::pair(col0, right0) : std::pair(right0, col0);
    const int in = k % kTile;
    return left_at(left_row + row % kTile, left_k + in) *
           right_at(right_k + in, right_column + column % kTile);
  });
}

}  // namespace tinygpt::lessons
