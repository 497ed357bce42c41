// Attention's variants of the microkernel: a tile that fetches rows of memory ahead while its
// products run, and a narrow one.
//
// Attention copies pieces of many short rows that lie far apart, which the processor's own reading
// ahead does not make out, and in a training step few of them are in the nearer caches. Asking for
// them between two tiles helps as well, but the requests queue up before the next tile's own loads.
// With one line in every step of a tile they cost nothing that shows. Measured at T = 256, HS = 64
// on one thread (Zen 5), share of the peak forward and backward: 51% and 60% without fetching, 62%
// and 67% in bursts between tiles, 65% and 70% in this way; with everything in the last cache 72%
// and 76% without, 67% and 71% in bursts, 71% and 75% in this way.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "tinygpt/cpu/microkernel.h"

namespace tinygpt::cpu {

// What to fetch, in this order: rows that the same head soon needs, then what the next begins with.
// It is a help and no promise: rows that find no place in a queue are left out.
struct FetchAhead {
  static constexpr int kMost = 8, kLineBytes = 64;
  struct Rows {
    std::uintptr_t at;
    std::int64_t step, left;  // bytes from row to row, rows
  };
  struct Queue {
    Rows rows[kMost];
    int begin = 0, end = 0;

    bool empty() const { return begin == end; }
    Rows& first() { return rows[begin % kMost]; }
    void add(const float* at, std::int64_t step, std::int64_t count) {
      if (count <= 0 || end - begin == kMost) return;
      const auto bytes = static_cast<std::int64_t>(sizeof(float));
      rows[end++ % kMost] = {reinterpret_cast<std::uintptr_t>(at), step * bytes, count};
    }
  };
  int lines;  // of a row
  Queue soon{}, later{};

  Queue& queue() { return soon.empty() ? later : soon; }
};

inline FetchAhead fetch_rows_of(int HS) {
  constexpr int kFloats = FetchAhead::kLineBytes / sizeof(float);
  return {.lines = (HS + kFloats - 1) / kFloats};
}

// As tile() of microkernel.h.
template <int Rows, int ARow>
void fetching_tile(const TileTask& task, FetchAhead& ahead) {
  const std::int64_t a_row = ARow == kAnyRow ? task.a_row : ARow;
  const float* a = task.a;
  const float* b = task.b;
  FetchAhead::Queue& queue = ahead.queue();
  // Where there is nothing to do it asks for lines that are there already.
  const FetchAhead::Rows idle{reinterpret_cast<std::uintptr_t>(&ahead), 0, 0};
  const FetchAhead::Rows rows = queue.empty() ? idle : queue.first();
  const std::int64_t row_bytes = ahead.lines * FetchAhead::kLineBytes;
  const auto step = static_cast<std::uintptr_t>(rows.step);
  const std::uintptr_t skip = step - static_cast<std::uintptr_t>(row_bytes);
  std::uintptr_t at = rows.at, row_end = at + static_cast<std::uintptr_t>(row_bytes);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    __builtin_prefetch(task.c + r * task.c_step, 1);
    __builtin_prefetch(task.c + r * task.c_step + kTileColumns - 1, 1);
  }
  Vec sum[Rows][kTileVectors] = {};
#pragma GCC unroll 1
  for (std::int64_t k = 0; k < task.depth; ++k, a += task.a_step, b += task.b_step) {
    const Vec b0 = load(b), b1 = load(b + kLanes);
    __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
    at += FetchAhead::kLineBytes;
    const bool row_done = at == row_end;
    at += row_done ? skip : 0;
    row_end += row_done ? step : 0;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Vec a_r = broadcast(a[r * a_row]);
      sum[r][0] += a_r * b0;
      sum[r][1] += a_r * b1;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    const float* start = task.start + r * task.start_step;
    float* c = task.c + r * task.c_step;
    store(c, load(start) + sum[r][0]);
    store(c + kLanes, load(start + kLanes) + sum[r][1]);
  }
  if (queue.empty()) return;
  const std::int64_t taken = task.depth / ahead.lines;
  queue.first().at += static_cast<std::uintptr_t>(taken) * step;
  queue.first().left -= taken;
  if (queue.first().left <= 0) ++queue.begin;
}

using FetchingTile = void(const TileTask& task, FetchAhead& ahead);

template <int ARow, std::size_t... I>
constexpr std::array<FetchingTile*, sizeof...(I)> make_fetching_tiles(std::index_sequence<I...>) {
  return {fetching_tile<static_cast<int>(I) + 1, ARow>...};
}
template <int ARow>
inline constexpr auto kFetchingTiles =
    make_fetching_tiles<ARow>(std::make_index_sequence<kTileRows>{});

template <int ARow>
inline void run_fetching_tile(int rows, const TileTask& task, FetchAhead& ahead) {
  kFetchingTiles<ARow>[static_cast<std::size_t>(rows - 1)](task, ahead);
}

// A tile that is one vector wide, and as high as that is wide.
template <int Rows>
void narrow_tile(const TileTask& task) {
  const float* a = task.a;
  const float* b = task.b;
  Vec sum[Rows] = {};
#pragma GCC unroll 1
  for (std::int64_t k = 0; k < task.depth; ++k, a += task.a_step, b += task.b_step) {
    const Vec b0 = load(b);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) sum[r] += broadcast(a[r * task.a_row]) * b0;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) store(task.c + r * task.c_step, sum[r]);
}

template <std::size_t... I>
constexpr std::array<Tile*, sizeof...(I)> make_narrow_tiles(std::index_sequence<I...>) {
  return {narrow_tile<static_cast<int>(I) + 1>...};
}
inline constexpr auto kNarrowTiles = make_narrow_tiles(std::make_index_sequence<kLanes>{});

}  // namespace tinygpt::cpu
