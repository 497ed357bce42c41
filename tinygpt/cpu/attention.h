// What the forward and the backward pass of attention share.
//
// A head's queries are taken kQueries at a time, and of the keys that they see kKeys: a block's
// scores stay in the nearer caches however long the sequence is. Scores and probabilities of a
// block lie transposed, [u][kQueries]: every step of the softmax then runs down columns, a whole
// vector of queries at once with no reduction across lanes, and the same block is an operand of the
// microkernel as it stands: its columns are rows of A for P V and dS K, its rows are rows of A for
// P^T dO and dS^T Q.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/cpu/fetching_tile.h"
#include "tinygpt/cpu/pack.h"
#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {

inline constexpr int kQueries = 64, kKeys = 256;
static_assert(kQueries % kTileColumns == 0 && kKeys % kQueries == 0);

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

// The queries [t, t + queries) and the keys [u, u + keys), of which the last query sees all. What a
// block points to begins with its own first query and its own first key.
struct Block {
  int t, queries, u, keys;
};

// How many of T queries a block that begins at t has.
inline int queries_from(std::int64_t t, int T) {
  return static_cast<int>(std::clamp<std::int64_t>(T - t, 0, kQueries));
}

// All keys that the queries from t on see, or those of them in the chunk that begins at u.
inline int keys_of_queries(const Head& head, int t) {
  return head.causal ? std::min(t + kQueries, head.T) : head.T;
}
inline Block make_block(const Head& head, int t, int u) {
  return {t, queries_from(t, head.T), u, std::min(kKeys, keys_of_queries(head, t) - u)};
}

// How many of the block's keys the kLanes queries from `column` on see, taken together.
inline int keys_of_vector(const Head& head, const Block& block, int column) {
  return head.causal ? std::clamp(block.t + column + kLanes - block.u, 0, block.keys) : block.keys;
}

// to[i, 0 .. padded) = from's row i, followed by zeros.
inline void copy_rows(float* to, std::int64_t padded, const float* from, std::int64_t step,
                      std::int64_t rows, int HS) {
  for (std::int64_t i = 0; i < rows; ++i) {
    each_vector(0, HS, [=](auto io, std::int64_t d) {
      io.store(to + i * padded + d, io.load(from + i * step + d));
    });
    if (HS < padded) std::fill(to + i * padded + HS, to + (i + 1) * padded, 0.0f);
  }
}

// Calls work(r, height) for pieces of the rows [begin, end), as equal in height as can be: a low
// tile has too few sums to keep the multipliers busy.
template <class Work>
void each_tile(int begin, int end, Work&& work) {
  for (int left = (end - begin + kTileRows - 1) / kTileRows; left > 0; --left) {
    const int height = (end - begin + left - 1) / left;
    work(begin, height);
    begin += height;
  }
}

// With the distance of A's rows known, GCC spends no registers on their addresses: 3% of a tile's
// time at HS = 64.
inline void run_row_tile(int height, const TileTask& task, FetchAhead& ahead) {
  if (task.a_row == kQueries) {
    run_fetching_tile<kQueries>(height, task, ahead);
  } else {
    run_fetching_tile<kAnyRow>(height, task, ahead);
  }
}

// products[u][i] = sum_d rows[u, d] * columns[i, d] for the keys u that query i sees (and for some
// more): S^T = K Q^T, and dP^T = V dO^T. `rows` are head.padded apart, `columns` are packed.
inline void block_products(float* products, const float* rows, const float* columns,
                           const Head& head, const Block& block, FetchAhead& ahead) {
  for (int i = 0; i < block.queries; i += kTileColumns) {
    TileTask task{.depth = head.HS,
                  .a = nullptr,
                  .a_step = 1,
                  .a_row = head.padded,
                  .b = columns + std::int64_t{i} * head.HS,
                  .b_step = kTileColumns,
                  .start = kZeros,
                  .start_step = 0,
                  .c = nullptr,
                  .c_step = kQueries};
    const auto move_to = [&](int u, int column) {
      task.a = rows + u * head.padded;
      task.c = products + std::int64_t{u} * kQueries + column;
    };
    const int both = keys_of_vector(head, block, i);
    each_tile(0, both, [&](int u, int height) {
      move_to(u, i);
      run_row_tile(height, task, ahead);
    });
    // Keys of the diagonal that only the second vector's queries see.
    const int second = keys_of_vector(head, block, i + kLanes);
    if (second > both && block.queries > i + kLanes) {
      move_to(both, i + kLanes);
      task.b += kLanes;
      kNarrowTiles[static_cast<std::size_t>(second - both - 1)](task);
    }
  }
}

// c[i, 0 .. padded) += sum_u columns[u][i] * rows[u, :] for the block's queries i: P V and dS K.
// With `first` the sums begin at zero.
inline void rows_from_columns(float* c, const float* columns, const float* rows, const Head& head,
                              const Block& block, bool first, FetchAhead& ahead) {
  each_tile(0, block.queries, [&](int i, int height) {
    // What later rows of the same columns see holds zeros here.
    const int keys =
        head.causal ? std::min(block.keys, block.t + i + height - block.u) : block.keys;
    for (std::int64_t d = 0; d < head.padded; d += kTileColumns) {
      float* const at = c + i * head.padded + d;
      run_fetching_tile<1>(height,
                           {.depth = keys,
                            .a = columns + i,
                            .a_step = kQueries,
                            .a_row = 1,
                            .b = rows + d,
                            .b_step = head.padded,
                            .start = first ? kZeros : at,
                            .start_step = first ? 0 : head.padded,
                            .c = at,
                            .c_step = head.padded},
                           ahead);
    }
  });
}

// Calls work(count, column, begin, end) for rectangles that together are all scores of a block
// which somebody sees: keys [begin, end), seen by `count` vectors of queries from `column` on.
// `count` is a constant, so that work can have a register or more for each vector.
template <class Work>
void each_rectangle(const Head& head, const Block& block, Work&& work) {
  constexpr int kMost = std::min(4, kQueries / kLanes);
  const auto call = [&]<int... Less>(std::integer_sequence<int, Less...>, int count, auto... rest) {
    ((count == kMost - Less ? work(std::integral_constant<int, kMost - Less>{}, rest...) : void()),
     ...);
  };
  for (int column = 0; column < block.queries; column += kMost * kLanes) {
    const int end = std::min(column + kMost * kLanes, block.queries);
    for (int u = 0, first = column; first < end; first += kLanes) {
      const int keys = keys_of_vector(head, block, first);
      if (keys > u) {
        call(std::make_integer_sequence<int, kMost>{}, (end - first + kLanes - 1) / kLanes, first,
             u, keys);
        u = keys;
      }
    }
  }
}

// Zeros for the keys that the kLanes queries of `column` do not see and a tile that they are part
// of reads.
inline void clear_unseen(float* columns, const Head& head, const Block& block, int column) {
  const int seen = keys_of_vector(head, block, column);
  for (int u = seen; u < std::min(seen + kTileRows - 1, block.keys); ++u) {
    store(columns + std::int64_t{u} * kQueries + column, Vec{});
  }
}

// The numbers of the kLanes queries from `first` on, to be compared with a key's.
inline IntVec query_numbers(int first) {
  IntVec numbers{};
  for (int lane = 0; lane < kLanes; ++lane) numbers[lane] = first + lane;
  return numbers;
}

}  // namespace tinygpt::cpu
