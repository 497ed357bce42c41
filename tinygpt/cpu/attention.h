// What the forward and the backward pass of attention share.
//
// A head's queries are taken kQueries at a time. Scores and probabilities of such a block lie
// transposed, [u][kQueries]: every step of the softmax then runs down columns, a whole vector of
// queries at once with no reduction across lanes, and the same block is an operand of the
// microkernel as it stands: its columns are rows of A for P V and dS K, its rows are rows of A for
// P^T dO and dS^T Q.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/cpu/microkernel.h"
#include "tinygpt/cpu/pack.h"
#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {

inline constexpr int kQueries = 64;
static_assert(kQueries % kTileColumns == 0);

// One head of one sequence.
struct Head {
  const float* q;
  const float* k;
  const float* v;
  std::int64_t row;     // from one position to the next in qkv
  std::int64_t padded;  // HS, rounded up to whole tiles; the rest holds zeros
  int T, HS;
  bool causal;
  float scale;
};

inline Head make_head(const float* qkv, int b, int h, int T, int NH, int NKV, int HS, bool causal) {
  const std::int64_t row = (std::int64_t{NH} + 2 * NKV) * HS;
  const std::int64_t g = h / (NH / NKV);
  const float* first = qkv + b * T * row;
  return {.q = first + std::int64_t{h} * HS,
          .k = first + (NH + g) * HS,
          .v = first + (NH + NKV + g) * HS,
          .row = row,
          .padded = round_up(HS, kTileColumns),
          .T = T,
          .HS = HS,
          .causal = causal,
          .scale = 1.0f / std::sqrt(static_cast<float>(HS))};
}

// The queries [t, t + count) of a block, and how many keys any of them sees.
struct QueryBlock {
  int t, count, keys;
};

inline QueryBlock query_block(const Head& head, std::int64_t block) {
  const int t = static_cast<int>(block) * kQueries;
  const int count = std::min(kQueries, head.T - t);
  return {t, count, head.causal ? t + count : head.T};
}

// Keys that the tile of columns beginning at query t + column sees.
inline int keys_of_columns(const Head& head, const QueryBlock& block, int column) {
  return head.causal ? std::min(block.keys, block.t + column + kTileColumns) : block.keys;
}

// Floats of a head's rows, packed for the microkernel as its A operand.
inline std::int64_t row_panels_size(int T, int HS) { return round_up(T, kTileRows) * HS; }
inline std::int64_t column_panels_size(int HS) { return std::int64_t{kQueries} * HS; }

// to[i, 0 .. padded) = from's row i, followed by zeros.
inline void copy_rows(float* to, std::int64_t padded, const float* from, std::int64_t step,
                      std::int64_t rows, int HS) {
  for (std::int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * padded, from + i * step, static_cast<std::size_t>(HS) * sizeof(float));
    std::fill(to + i * padded + HS, to + (i + 1) * padded, 0.0f);
  }
}

// products[u][i] = sum_d rows[u, d] * columns[i, d] for the keys u that column tile i sees:
// S^T = K Q^T, and dP^T = V dO^T. `rows` and `columns` are packed panels.
inline void block_products(float* products, const float* rows, const float* columns,
                           const Head& head, const QueryBlock& block) {
  for (int u = 0; u < block.keys; u += kTileRows) {
    for (int i = 0; i < block.count; i += kTileColumns) {
      const int height = std::min(kTileRows, keys_of_columns(head, block, i) - u);
      if (height <= 0) continue;
      run_tile<1>(height, {.depth = head.HS,
                           .a = rows + std::int64_t{u} * head.HS,
                           .a_step = kTileRows,
                           .a_row = 1,
                           .b = columns + std::int64_t{i} * head.HS,
                           .b_step = kTileColumns,
                           .start = kZeros,
                           .start_step = 0,
                           .c = products + std::int64_t{u} * kQueries + i,
                           .c_step = kQueries});
    }
  }
}

// c[i, 0 .. padded) = sum_u columns[u][i] * rows[u, :] for the block's queries i: P V and dS K.
inline void rows_from_columns(float* c, const float* columns, const float* rows, const Head& head,
                              const QueryBlock& block) {
  for (int i = 0; i < block.count; i += kTileRows) {
    const int height = std::min(kTileRows, block.count - i);
    // What later rows of the same columns see holds zeros here.
    const int keys = head.causal ? std::min(block.keys, block.t + i + height) : block.keys;
    for (std::int64_t d = 0; d < head.padded; d += kTileColumns) {
      run_tile<1>(height, {.depth = keys,
                           .a = columns + i,
                           .a_step = kQueries,
                           .a_row = 1,
                           .b = rows + d,
                           .b_step = head.padded,
                           .start = kZeros,
                           .start_step = 0,
                           .c = c + i * head.padded + d,
                           .c_step = head.padded});
    }
  }
}

// Zeros where the block's later columns see keys and this tile of columns does not.
inline void clear_unseen(float* columns, const Head& head, const QueryBlock& block, int column) {
  for (int u = keys_of_columns(head, block, column); u < block.keys; ++u) {
    for (int v = 0; v < kTileColumns; v += kLanes) {
      store(columns + std::int64_t{u} * kQueries + column + v, Vec{});
    }
  }
}

// The numbers of the kLanes queries from `first` on, to be compared with a key's.
inline IntVec query_numbers(int first) {
  IntVec numbers{};
  for (int lane = 0; lane < kLanes; ++lane) numbers[lane] = first + lane;
  return numbers;
}

}  // namespace tinygpt::cpu
