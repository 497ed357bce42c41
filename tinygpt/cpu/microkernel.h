// The innermost piece of every matrix product: a tile of the result that lives in registers.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tinygpt/cpu/operands.h"
#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

// A tile has kTileRows x kTileColumns values. Its accumulators, one row of B and one broadcast
// value of A have to fit in the registers: 6 * 2 + 2 + 1 = 15 of 16, or 14 * 2 + 2 + 1 = 31 of the
// 32 of AVX-512. Taller tiles read less of B per product, wider ones less of A.
inline constexpr int kTileRows = kLanes == 16 ? 14 : 6;
inline constexpr int kTileVectors = 2;
inline constexpr int kTileColumns = kTileVectors * kLanes;

// c[r, j] = start[r, j] + sum_k a[k * a_step + r * a_row] * b[k * b_step + j]
//
// for j < kTileColumns and as many rows r as the kernel has; row r of start and c lies at
// r * start_step and r * c_step. A start_step of 0 gives every row the same start: a bias, zeros.
//
// Whoever reads a or b where the matrix lies can have a packed panel of it made on the way
// (pack.h): packed_a[k * kTileRows + r], with a_row = 1 only, and packed_b[k * kTileColumns + j].
//
// Where an element of a and b is a pair (operands.h), a product is the sum of its two products, and
// the depth and all steps count elements.
template <class Element>
struct TileTaskOf {
  std::int64_t depth;
  const Element* a;
  std::int64_t a_step, a_row;
  const Element* b;
  std::int64_t b_step;
  const float* start;
  std::int64_t start_step;
  float* c;
  std::int64_t c_step;
  Element* packed_a = nullptr;
  Element* packed_b = nullptr;
};
using TileTask = TileTaskOf<float>;

inline constexpr int kAnyRow = 0;  // a_row is what the task says, not a constant

// How many steps ahead a tile that packs fetches what it reads. The steps lie far apart, often in
// pages of their own, where the hardware does not foresee them. Beyond the matrix this fetches
// nothing that anyone needs, which is allowed. Half or twice as many: 1 to 3% slower (Zen 5).
inline constexpr std::int64_t kFetchAheadA = 48, kFetchAheadB = 32;

// Each step of k loads 2 vectors of B and broadcasts Rows values of A for 2 * Rows fused
// multiply-adds: with 6 rows the two multipliers are busy all the time (0.97 of their peak,
// measured on Zen 3) and the load ports two thirds of it. The tile's lines of c are fetched while
// the products run. The loop must not be unrolled: then GCC drops b0 and b1 and makes every
// multiplication load B again, which costs a third.
template <class Operands, int Rows, int ARow, bool PacksA, bool PacksB>
void tile(const TileTaskOf<typename Operands::Element>& task) {
  const std::int64_t a_row = ARow == kAnyRow ? task.a_row : ARow;
  const auto* a = task.a;
  const auto* b = task.b;
  auto* packed_a = task.packed_a;
  auto* packed_b = task.packed_b;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    __builtin_prefetch(task.c + r * task.c_step, 1);
    __builtin_prefetch(task.c + r * task.c_step + kTileColumns - 1, 1);
  }
  Vec sum[Rows][kTileVectors] = {};
#pragma GCC unroll 1
  for (std::int64_t k = 0; k < task.depth; ++k, a += task.a_step, b += task.b_step) {
    if constexpr (PacksA) {
      std::memcpy(packed_a, a, Rows * sizeof(*a));
      packed_a += kTileRows;
      __builtin_prefetch(a + kFetchAheadA * task.a_step);
      __builtin_prefetch(a + kFetchAheadA * task.a_step + Rows - 1);
    }
    const Vec b0 = Operands::load_elements(b), b1 = Operands::load_elements(b + kLanes);
    if constexpr (PacksB) {
      store(packed_b, b0);
      store(packed_b + kLanes, b1);
      packed_b += kTileColumns;
      __builtin_prefetch(b + kFetchAheadB * task.b_step, 0, 2);
      __builtin_prefetch(b + kFetchAheadB * task.b_step + kTileColumns - 1, 0, 2);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec a_r = Operands::broadcast_element(a[r * a_row]);
      sum[r][0] = Operands::multiply_add(sum[r][0], a_r, b0);
      sum[r][1] = Operands::multiply_add(sum[r][1], a_r, b1);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    const float* start = task.start + r * task.start_step;
    float* c = task.c + r * task.c_step;
    store(c, load(start) + sum[r][0]);
    store(c + kLanes, load(start + kLanes) + sum[r][1]);
  }
}

template <class Operands>
using TileOf = void(const TileTaskOf<typename Operands::Element>& task);
using Tile = TileOf<FloatOperands>;

template <class Operands, int ARow, bool PacksA, bool PacksB, std::size_t... I>
constexpr std::array<TileOf<Operands>*, sizeof...(I)> make_tiles(std::index_sequence<I...>) {
  return {tile<Operands, static_cast<int>(I) + 1, ARow, PacksA, PacksB>...};
}
template <class Operands, int ARow, bool PacksA, bool PacksB>
inline constexpr auto kTiles =
    make_tiles<Operands, ARow, PacksA, PacksB>(std::make_index_sequence<kTileRows>{});

// A tile of `rows` rows: a ragged last tile costs only its own.
template <int ARow, bool PacksA = false, bool PacksB = false, class Operands = FloatOperands>
inline void run_tile(int rows, const TileTaskOf<typename Operands::Element>& task) {
  kTiles<Operands, ARow, PacksA, PacksB>[static_cast<std::size_t>(rows - 1)](task);
}

alignas(64) inline constexpr float kZeros[kTileColumns] = {};

}  // namespace tinygpt::cpu
