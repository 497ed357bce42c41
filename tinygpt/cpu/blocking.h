// How the loops of a matrix product are cut, and how its operands come to the microkernel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/gemm.h"
#include "tinygpt/cpu/microkernel.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {

// Depth of one pass of the microkernel. A panel of B (24 KB at 8 lanes) and one of A (9 KB) meet
// in the level-1 cache. Pairs are read from level 2 as fast, and deeper passes leave c alone for
// longer: 2% of their time (3% of dX in a step of nano-10m).
template <class Operands>
inline constexpr std::int64_t kPassDepth = Operands::kDepth == 1 ? 384 : 768;
// Tiles of rows in a task's block of A, at most: 74 KB of floats at 8 lanes, small beside a
// level-2 cache. Twice or half as many measured the same; fewer rows share out more evenly.
inline constexpr std::int64_t kTaskTiles = 8;
inline constexpr std::int64_t kTaskRows = kTaskTiles * kTileRows;
// The packed block of B that all threads share: 4 MB of the level-3 cache, whatever the matrix.
inline constexpr std::int64_t kSharedPasses = 6;
template <class Operands>
inline constexpr std::int64_t kSharedDepth = std::int64_t{kSharedPasses} * kPassDepth<Operands>;
inline constexpr std::int64_t kSharedFloats = std::int64_t{1} << 20;
// A task's columns shrink to this when there are few rows to share out.
inline constexpr std::int64_t kLeastTaskColumns = 8 * kTileColumns;
inline constexpr std::int64_t kPageFloats = 1024;
// Tasks a thread should find, so that the last one to finish keeps the others waiting only briefly.
inline constexpr std::int64_t kTasksPerThread = 12;

// How an operand comes to the microkernel.
enum class Reads {
  in_place,
  packed_on_the_way,  // by the first tile that reads it, for the others of its task
  packed,             // before
};

// Where rows lie contiguous along the depth, the microkernel reads as many streams as the tile has
// rows, which the hardware fetches ahead; packing them first took 2 to 5% of the time. Rows whose
// distance is a multiple of a page compete for the same places in the cache, so those are packed.
//
// Columns are packed, too, but not in a pass of their own: the copy hides behind the products of
// the first tile. With B treated likewise, the gradients of nano-10m's weights take 3 to 7% less
// time for it on one thread and on two, from a cache (Zen 5); from memory see below. Where
// columns lie very far apart (logits of GPT-2), packing all of a task's rows first reads more of
// each page at a time and is 3% faster.
//
// What is to be rounded is packed before, A and B.
inline constexpr std::int64_t kFar = 8192;
inline Reads reads_a(const Gemm& p) {
  const MatrixView& a = p.a;
  if (p.rounding != Rounding::none) return Reads::packed;
  if (a.column_step != 1) return a.column_step < kFar ? Reads::packed_on_the_way : Reads::packed;
  return a.row_step % kPageFloats != 0 ? Reads::in_place : Reads::packed;
}

// B's columns, where they are contiguous and of whole panels, need no packing in common, for which
// all threads have to wait. Beside an A that is packed on the way, as in the gradient of a weight,
// so is B: its first tile also fetches ahead. In a step, where both come from memory, nano-10m's
// take 8 to 20% less time for this on two threads, and 0 to 13% where B was read in place.
// Otherwise near rows of a B that the level-3 cache holds serve as they are. Others are packed on
// the way if c has few rows: GPT-2's dX on 256 tokens takes 2 to 7% less time for it. For many rows
// packing in common is 1 to 3% faster, since it is done once.
inline constexpr std::int64_t kNear = 1024, kCachedFloats = std::int64_t{1} << 22;
inline constexpr std::int64_t kManyRows = 1024, kVeryManyRows = 4096;
inline Reads reads_b(const Gemm& p) {
  if (p.rounding != Rounding::none) return Reads::packed;
  const bool whole_panels = p.b.column_step == 1 && p.columns % kTileColumns == 0;
  if (!whole_panels || p.rows >= kVeryManyRows) return Reads::packed;
  if (reads_a(p) == Reads::packed_on_the_way) return Reads::packed_on_the_way;
  if (p.b.row_step < kNear && p.depth * p.b.row_step <= kCachedFloats) return Reads::in_place;
  return p.rows < kManyRows ? Reads::packed_on_the_way : Reads::packed;
}

// How the loops are cut. Blocks of one loop are as equal as their granule allows: 1,025 rows make
// no block of 1. Depths count elements (operands.h) here and in all that follows, but for that of
// the product itself: a pair of bf16 is as large as a float, so the caches hold as many.
struct Blocking {
  std::int64_t shared_depth, shared_columns;  // of the packed block of B
  std::int64_t pass_depth;                    // of one pass over it
  std::int64_t row_tasks, column_tasks;       // that share out a block
  int threads;
  Reads a, b;
};

inline std::int64_t even_blocks(std::int64_t n, std::int64_t largest, std::int64_t granule) {
  return round_up(ceil_div(n, ceil_div(n, largest)), granule);
}

// Every thread should find the same number of tasks, all of nearly the same size. Rows that have to
// be packed are cut finely first, since each cut through the columns packs them once more; but not
// where each cut through the rows packs the columns once more.
inline void choose_tasks(Blocking& cut, const Gemm& p) {
  const std::int64_t tiles = ceil_div(p.rows, kTileRows);
  const std::int64_t wanted = cut.threads == 1 ? 1 : cut.threads * kTasksPerThread;
  const std::int64_t least = ceil_div(tiles, kTaskTiles);
  const bool tall = cut.a == Reads::in_place || cut.b == Reads::packed_on_the_way;
  const std::int64_t finest = tall ? least : std::max(least, ceil_div(tiles, 2));
  cut.row_tasks = std::clamp(wanted, least, finest);
  if (cut.row_tasks + cut.threads <= tiles) cut.row_tasks = round_up(cut.row_tasks, cut.threads);
  const bool many = cut.row_tasks * 3 >= wanted;  // a quarter more or less is no matter
  const std::int64_t most = std::max<std::int64_t>(cut.shared_columns / kLeastTaskColumns, 1);
  cut.column_tasks = tall || !many ? std::min(most, ceil_div(wanted, cut.row_tasks)) : 1;
}

template <class Operands>
Blocking choose_blocking(const Gemm& p) {
  Blocking cut;
  cut.a = reads_a(p);
  cut.b = reads_b(p);
  cut.threads = threads_for(p.rows * p.columns * p.depth / 32);
  const std::int64_t depth = elements_of<Operands>(p.depth);
  cut.pass_depth = even_blocks(depth, kPassDepth<Operands>, 1);
  // Rows that have to be packed are packed once for each block of columns: all of these at once,
  // and less of the depth.
  const std::int64_t passes_of_all =
      kSharedFloats / (cut.pass_depth * round_up(p.columns, kTileColumns));
  const std::int64_t passes = cut.a == Reads::in_place
                                  ? kSharedPasses
                                  : std::clamp<std::int64_t>(passes_of_all, 1, kSharedPasses);
  cut.shared_depth = std::min(passes * cut.pass_depth, depth);
  const std::int64_t columns_that_fit =
      std::max<std::int64_t>(kSharedFloats / cut.shared_depth / kTileColumns, 1) * kTileColumns;
  cut.shared_columns = even_blocks(p.columns, columns_that_fit, kTileColumns);
  choose_tasks(cut, p);
  return cut;
}

// The first row or column of part number `part` of `parts`, in whole tiles.
inline std::int64_t part_begin(std::int64_t n, std::int64_t granule, std::int64_t part,
                               std::int64_t parts) {
  return std::min(ceil_div(n, granule) * part / parts * granule, n);
}

}  // namespace tinygpt::cpu
