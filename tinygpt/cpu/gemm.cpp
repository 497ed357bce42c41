// The blocking follows Goto, van de Geijn: "Anatomy of High-Performance Matrix Multiplication"
// (2008), sections 4 and 5, and Van Zee, van de Geijn: "BLIS" (2015), figure 1: panels of B stay in
// the level-1 cache while a block of A streams from level 2 past them.
#include "tinygpt/cpu/gemm.h"

#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/microkernel.h"
#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {
namespace {

// Depth of one pass of the microkernel. A panel of B (24 KB at 8 lanes) and one of A (9 KB) meet
// in the level-1 cache.
constexpr std::int64_t kPassDepth = 384;
// Tiles of rows in a task's block of A, at most: 74 KB at kPassDepth and 8 lanes, small beside a
// level-2 cache. Twice or half as many measured the same; fewer rows share out more evenly.
constexpr std::int64_t kTaskTiles = 8;
constexpr std::int64_t kTaskRows = kTaskTiles * kTileRows;
// The packed block of B that all threads share: 4 MB of the level-3 cache, whatever the matrix.
constexpr std::int64_t kSharedPasses = 6;
constexpr std::int64_t kSharedDepth = kSharedPasses * kPassDepth;
constexpr std::int64_t kSharedFloats = std::int64_t{1} << 20;
// A task's columns shrink to this when there are few rows to share out.
constexpr std::int64_t kLeastTaskColumns = 8 * kTileColumns;
constexpr std::int64_t kPageFloats = 1024;
// Rows of B that a thread packs at a time.
constexpr std::int64_t kPackDepth = 64;
// Tasks a thread should find, so that the last one to finish keeps the others waiting only briefly.
constexpr std::int64_t kTasksPerThread = 12;

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
constexpr std::int64_t kFar = 8192;
Reads reads_a(const Gemm& p) {
  const MatrixView& a = p.a;
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
constexpr std::int64_t kNear = 1024, kCachedFloats = std::int64_t{1} << 22;
constexpr std::int64_t kManyRows = 1024, kVeryManyRows = 4096;
Reads reads_b(const Gemm& p) {
  const bool whole_panels = p.b.column_step == 1 && p.columns % kTileColumns == 0;
  if (!whole_panels || p.rows >= kVeryManyRows) return Reads::packed;
  if (reads_a(p) == Reads::packed_on_the_way) return Reads::packed_on_the_way;
  if (p.b.row_step < kNear && p.depth * p.b.row_step <= kCachedFloats) return Reads::in_place;
  return p.rows < kManyRows ? Reads::packed_on_the_way : Reads::packed;
}

// How the loops are cut. Blocks of one loop are as equal as their granule allows: 1,025 rows make
// no block of 1.
struct Blocking {
  std::int64_t shared_depth, shared_columns;  // of the packed block of B
  std::int64_t pass_depth;                    // of one pass over it
  std::int64_t row_tasks, column_tasks;       // that share out a block
  int threads;
  Reads a, b;
};

std::int64_t even_blocks(std::int64_t n, std::int64_t largest, std::int64_t granule) {
  return round_up(ceil_div(n, ceil_div(n, largest)), granule);
}

// Every thread should find the same number of tasks, all of nearly the same size. Rows that have to
// be packed are cut finely first, since each cut through the columns packs them once more; but not
// where each cut through the rows packs the columns once more.
void choose_tasks(Blocking& cut, const Gemm& p) {
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

Blocking choose_blocking(const Gemm& p) {
  Blocking cut;
  cut.a = reads_a(p);
  cut.b = reads_b(p);
  cut.threads = threads_for(p.rows * p.columns * p.depth / 32);
  cut.pass_depth = even_blocks(p.depth, kPassDepth, 1);
  // Rows that have to be packed are packed once for each block of columns: all of these at once,
  // and less of the depth.
  const std::int64_t passes_of_all =
      kSharedFloats / (cut.pass_depth * round_up(p.columns, kTileColumns));
  const std::int64_t passes = cut.a == Reads::in_place
                                  ? kSharedPasses
                                  : std::clamp<std::int64_t>(passes_of_all, 1, kSharedPasses);
  cut.shared_depth = std::min(passes * cut.pass_depth, p.depth);
  const std::int64_t columns_that_fit =
      std::max<std::int64_t>(kSharedFloats / cut.shared_depth / kTileColumns, 1) * kTileColumns;
  cut.shared_columns = even_blocks(p.columns, columns_that_fit, kTileColumns);
  choose_tasks(cut, p);
  return cut;
}

// The first row or column of part number `part` of `parts`, in whole tiles.
std::int64_t part_begin(std::int64_t n, std::int64_t granule, std::int64_t part,
                        std::int64_t parts) {
  return std::min(ceil_div(n, granule) * part / parts * granule, n);
}

// What a thread works on at the moment: depth [k, k + depth) of columns [column, column + columns).
struct SharedBlock {
  const float* packed;  // panels of kTileColumns columns, each `depth` steps long, if B is packed
  std::int64_t column, columns;
  std::int64_t k, depth;
};

// Every thread of the team calls this. Rows of B are read whole, so that memory is read in one
// stream a thread; where its columns are contiguous instead, each is one.
void pack_b(const Gemm& p, const SharedBlock& block, float* packed) {
  const MatrixView columns_of_b{p.b.data + block.k * p.b.row_step + block.column * p.b.column_step,
                                p.b.column_step, p.b.row_step};
  if (p.b.column_step == 1) {
#pragma omp for schedule(dynamic)
    for (std::int64_t k = 0; k < block.depth; k += kPackDepth) {
      pack_along<kTileColumns>(packed + k * kTileColumns, block.depth * kTileColumns,
                               columns_of_b.data + k * p.b.row_step, p.b.row_step, block.columns,
                               std::min(kPackDepth, block.depth - k));
    }
  } else {
#pragma omp for schedule(dynamic)
    for (std::int64_t j = 0; j < block.columns; j += kTileColumns) {
      pack<kTileColumns>(packed + j * block.depth,
                         {columns_of_b.data + j * p.b.column_step, columns_of_b.row_step,
                          columns_of_b.column_step},
                         std::min<std::int64_t>(kTileColumns, block.columns - j), block.depth);
    }
  }
}

// One pass of the depth over one tile of c: where it starts from, and whether it completes it.
struct Pass {
  std::int64_t depth;
  bool first, last;
};

void finish_tile(const Gemm& p, std::int64_t row, std::int64_t column, int rows, int columns) {
  for (int r = 0; r < rows; ++r) {
    const std::int64_t at = (row + r) * p.columns + column;
    if (p.gelu != nullptr) gelu_forward_range(p.gelu + at, p.c + at, columns);
    if (p.slope_of != nullptr) multiply_by_gelu_slope(p.c + at, p.slope_of + at, columns);
  }
}

// Asks for the lines that finish_tile will want before the tile's products, which take longer than
// memory does. nano-10m's dX through GELU takes 9 to 13% less time for it, and its forward product
// with GELU 5% (Zen 5, one thread or two). Always inlined: of a function that does nothing but
// fetch GCC 12 takes the calls for calls without effect, and drops them.
[[gnu::always_inline]] inline void fetch_for_finish(const Gemm& p, std::int64_t row,
                                                    std::int64_t column, int rows, int columns) {
  for (int r = 0; r < rows; ++r) {
    const std::int64_t at = (row + r) * p.columns + column;
    for (const std::int64_t edge : {at, at + columns - 1}) {
      if (p.gelu != nullptr) __builtin_prefetch(p.gelu + edge, 1);
      if (p.slope_of != nullptr) __builtin_prefetch(p.slope_of + edge);
    }
  }
}

// A panel of A or B as the microkernel reads it: packed, where it lies, or where it lies while it
// is packed to `pack_to`. `step` leads to the next place along the depth; of a panel of A,
// `row_step` to the next row.
struct Panel {
  const float* data;
  std::int64_t step;
  std::int64_t row_step = 1;
  float* pack_to = nullptr;
};

template <bool PacksB>
void run_tile_for(int rows, const TileTask& task) {
  if (task.packed_a != nullptr) {
    run_tile<1, true, PacksB>(rows, task);
  } else if (task.a_row == 1) {
    run_tile<1, false, PacksB>(rows, task);
  } else {
    run_tile<kAnyRow, false, PacksB>(rows, task);
  }
}

void multiply_tile(const Gemm& p, const Pass& pass, const Panel& a, const Panel& b,
                   std::int64_t row, std::int64_t column, int rows, int columns) {
  float* c = p.c + row * p.columns + column;
  const bool add_to_c = p.accumulate || !pass.first;
  const float* start = add_to_c ? c : p.bias != nullptr ? p.bias + column : kZeros;
  const std::int64_t start_step = add_to_c ? p.columns : 0;
  TileTask task{pass.depth, a.data,     a.step, a.row_step, b.data,    b.step,
                start,      start_step, c,      p.columns,  a.pack_to, b.pack_to};
  const bool finish = pass.last && (p.gelu != nullptr || p.slope_of != nullptr);
  alignas(64) float edge[kTileRows * kTileColumns];
  if (columns < kTileColumns) {  // ragged: a whole tile beside c, of which the valid part is taken
    task.start = kZeros;
    task.start_step = 0;
    task.c = edge;
    task.c_step = kTileColumns;
  }
  if (finish) fetch_for_finish(p, row, column, rows, columns);
  if (task.packed_b != nullptr) {
    run_tile_for<true>(rows, task);
  } else {
    run_tile_for<false>(rows, task);
  }
  for (int r = 0; r < rows && columns < kTileColumns; ++r) {
    for (int j = 0; j < columns; ++j) {
      c[r * p.columns + j] = start[r * start_step + j] + edge[r * kTileColumns + j];
    }
  }
  if (finish) finish_tile(p, row, column, rows, columns);
}

// A thread's own room.
struct Room {
  float* a;  // kTaskTiles panels
  float* b;  // one panel
};

// One task: rows and columns of c, for all depth of a shared block.
struct Task {
  std::int64_t row, row_end, column, column_end;
};

// The panel of A at `row` in a pass that begins at k, for the tile at `column`.
Panel panel_of_a(const Gemm& p, Reads reads, const Task& task, std::int64_t k, std::int64_t depth,
                 std::int64_t row, std::int64_t column, const Room& room) {
  const Panel there{p.a.data + row * p.a.row_step + k * p.a.column_step, p.a.column_step,
                    p.a.row_step};
  float* packed = room.a + (row - task.row) * depth;
  if (reads == Reads::in_place) return there;
  if (reads == Reads::packed || column > task.column) return {packed, kTileRows};
  return {there.data, there.step, 1, packed};
}

Panel panel_of_b(const Gemm& p, Reads reads, const SharedBlock& block, const Task& task,
                 std::int64_t k, std::int64_t row, std::int64_t column, const Room& room) {
  if (reads == Reads::packed) {
    return {block.packed + (column - block.column) * block.depth + (k - block.k) * kTileColumns,
            kTileColumns};
  }
  const Panel there{p.b.data + k * p.b.row_step + column, p.b.row_step};
  if (reads == Reads::in_place) return there;
  if (row > task.row) return {room.b, kTileColumns};
  const bool last_use = row + kTileRows >= task.row_end;
  return {there.data, there.step, 1, last_use ? nullptr : room.b};
}

Task find_task(const Gemm& p, const Blocking& cut, const SharedBlock& block, std::int64_t number) {
  const std::int64_t row_part = number / cut.column_tasks, column_part = number % cut.column_tasks;
  const auto row = [&](std::int64_t part) {
    return part_begin(p.rows, kTileRows, part, cut.row_tasks);
  };
  const auto column = [&](std::int64_t part) {
    return block.column + part_begin(block.columns, kTileColumns, part, cut.column_tasks);
  };
  return {row(row_part), row(row_part + 1), column(column_part), column(column_part + 1)};
}

void run_task(const Gemm& p, const Blocking& cut, const SharedBlock& block, const Task& task,
              const Room& room) {
  const std::int64_t k_end = block.k + block.depth;
  for (std::int64_t k = block.k; k < k_end; k += cut.pass_depth) {
    const std::int64_t depth = std::min(cut.pass_depth, k_end - k);
    const Pass pass{depth, k == 0, k + depth == p.depth};
    if (cut.a == Reads::packed) {
      const MatrixView source{p.a.data + task.row * p.a.row_step + k * p.a.column_step,
                              p.a.row_step, p.a.column_step};
      pack<kTileRows>(room.a, source, task.row_end - task.row, depth);
    }
    for (std::int64_t j = task.column; j < task.column_end; j += kTileColumns) {
      const int width = static_cast<int>(std::min<std::int64_t>(kTileColumns, task.column_end - j));
      for (std::int64_t i = task.row; i < task.row_end; i += kTileRows) {
        const int height = static_cast<int>(std::min<std::int64_t>(kTileRows, task.row_end - i));
        multiply_tile(p, pass, panel_of_a(p, cut.a, task, k, depth, i, j, room),
                      panel_of_b(p, cut.b, block, task, k, i, j, room), i, j, height, width);
      }
    }
  }
}

// Every thread of the team calls this: together they pack the block of B, then share the tasks.
void run_block(const Gemm& p, const Blocking& cut, const SharedBlock& block, float* packed_b,
               const Room& room) {
  if (cut.b == Reads::packed) pack_b(p, block, packed_b);
#pragma omp for schedule(dynamic)
  for (std::int64_t task = 0; task < cut.row_tasks * cut.column_tasks; ++task) {
    run_task(p, cut, block, find_task(p, cut, block, task), room);
  }
}

// An empty sum: c is its start.
void fill_without_depth(const Gemm& p) {
  for (std::int64_t i = 0; i < p.rows; ++i) {
    float* c = p.c + i * p.columns;
    for (std::int64_t j = 0; j < p.columns && !p.accumulate; ++j) {
      c[j] = p.bias != nullptr ? p.bias[j] : 0.0f;
    }
    if (p.gelu != nullptr) gelu_forward_range(p.gelu + i * p.columns, c, p.columns);
    if (p.slope_of != nullptr) multiply_by_gelu_slope(c, p.slope_of + i * p.columns, p.columns);
  }
}

std::int64_t task_a_floats(std::int64_t rows, std::int64_t depth) {
  return round_up(std::min(round_up(rows, kTileRows), kTaskRows) * std::min(depth, kPassDepth), 16);
}

std::int64_t room_floats(std::int64_t rows, std::int64_t depth) {
  return task_a_floats(rows, depth) + round_up(kTileColumns * std::min(depth, kPassDepth), 16);
}

std::int64_t packed_b_floats(std::int64_t columns, std::int64_t depth) {
  const std::int64_t whole = round_up(columns, kTileColumns) * std::min(depth, kSharedDepth);
  return round_up(std::min(whole, std::max(kSharedFloats, kTileColumns * kSharedDepth)), 16);
}

}  // namespace

std::int64_t gemm_scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  return packed_b_floats(columns, depth) + omp_get_max_threads() * room_floats(rows, depth);
}

void gemm(const Gemm& p, float* scratch) {
  if (p.rows <= 0 || p.columns <= 0) return;
  if (p.depth <= 0) {
    fill_without_depth(p);
    return;
  }
  const Blocking cut = choose_blocking(p);
  float* const packed_b = scratch;
  float* const rooms = scratch + packed_b_floats(p.columns, p.depth);
  const std::int64_t room = room_floats(p.rows, p.depth), b = task_a_floats(p.rows, p.depth);
#pragma omp parallel num_threads(cut.threads) if (cut.threads > 1)
  for (std::int64_t column = 0; column < p.columns; column += cut.shared_columns) {
    for (std::int64_t k = 0; k < p.depth; k += cut.shared_depth) {
      const SharedBlock block{packed_b, column, std::min(cut.shared_columns, p.columns - column), k,
                              std::min(cut.shared_depth, p.depth - k)};
      float* const mine = rooms + omp_get_thread_num() * room;
      run_block(p, cut, block, packed_b, {mine, mine + b});
    }
  }
}

}  // namespace tinygpt::cpu
