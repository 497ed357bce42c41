// The innermost piece of every matrix product: a tile of the result that lives in registers.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

// A tile has kTileRows x kTileColumns values. Its accumulators, one row of B and one broadcast
// value of A have to fit in the registers: 6 * 2 + 2 + 1 = 15 of 16, or 14 * 2 + 2 + 1 = 31 of the
// 32 of AVX-512. Taller tiles read less of B per product, wider ones less of A.
inline constexpr int kTileRows = kLanes == 16 ? 14 : 6;
inline constexpr int kTileVectors = 2;
inline constexpr int kTileColumns = kTileVectors * kLanes;

// c[r, j] = start[r, j] + sum_k a[k * a_step + r * RowStep] * b[k * b_step + j]
//
// for r < Rows and j < kTileColumns, where row r of start and c lies at r * start_step and
// r * c_step. A start_step of 0 gives every row the same start: a bias, or zeros.
//
// Each step of k loads 2 vectors of B and broadcasts Rows values of A for 2 * Rows fused
// multiply-adds: with 6 rows the two multipliers are busy all the time and the load ports two
// thirds of it. The tile's lines of c are fetched while the products run.
template <int Rows, int RowStep>
void tile(std::int64_t depth, const float* a, std::int64_t a_step, const float* b,
          std::int64_t b_step, const float* start, std::int64_t start_step, float* c,
          std::int64_t c_step) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    __builtin_prefetch(c + r * c_step, 1);
    __builtin_prefetch(c + r * c_step + kTileColumns - 1, 1);
  }
  Vec sum[Rows][kTileVectors] = {};
  for (std::int64_t k = 0; k < depth; ++k, a += a_step, b += b_step) {
    const Vec b0 = load(b), b1 = load(b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec a_r = broadcast(a[r * RowStep]);
      sum[r][0] += a_r * b0;
      sum[r][1] += a_r * b1;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    store(c + r * c_step, load(start + r * start_step) + sum[r][0]);
    store(c + r * c_step + kLanes, load(start + r * start_step + kLanes) + sum[r][1]);
  }
}

using Tile = void(std::int64_t depth, const float* a, std::int64_t a_step, const float* b,
                  std::int64_t b_step, const float* start, std::int64_t start_step, float* c,
                  std::int64_t c_step);

// kTiles<RowStep>[r - 1] computes a tile of r rows: a ragged last tile costs only its own rows.
template <int RowStep, std::size_t... I>
constexpr std::array<Tile*, sizeof...(I)> make_tiles(std::index_sequence<I...>) {
  return {tile<static_cast<int>(I) + 1, RowStep>...};
}
template <int RowStep>
inline constexpr auto kTiles = make_tiles<RowStep>(std::make_index_sequence<kTileRows>{});

alignas(64) inline constexpr float kZeros[kTileColumns] = {};

}  // namespace tinygpt::cpu
