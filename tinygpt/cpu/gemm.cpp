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
// Rows of a task's block of A: 8 tiles, 74 KB at kPassDepth and 8 lanes, small beside a level-2
// cache. Twice or half as many measured the same; fewer rows share out more evenly.
constexpr std::int64_t kTaskRows = 8 * kTileRows;
// The packed block of B that all threads share: 4 MB of the level-3 cache, whatever the matrix.
constexpr std::int64_t kSharedDepth = 6 * kPassDepth;
constexpr std::int64_t kSharedFloats = std::int64_t{1} << 20;
// A task's columns shrink to this when there are few rows to share out; fewer would repeat the
// packing of A too often.
constexpr std::int64_t kLeastTaskColumns = 8 * kTileColumns;
// A task of a product that packs nothing: small, so that the last one keeps nobody waiting.
constexpr std::int64_t kInPlaceRows = 8 * kTileRows;
constexpr std::int64_t kInPlaceColumns = 4 * kTileColumns;
constexpr std::int64_t kPageFloats = 1024;
// Rows of B that a thread packs at a time.
constexpr std::int64_t kPackDepth = 64;
// Tasks a thread should find, so that the last one to finish keeps the others waiting only briefly.
constexpr std::int64_t kTasksPerThread = 12;

// How the loops are cut. Blocks of one loop are as equal as their granule allows: 1,025 rows make
// no block of 1.
struct Blocking {
  std::int64_t shared_depth, shared_columns;  // of the packed block of B
  std::int64_t pass_depth;                    // of one pass over it
  std::int64_t task_rows, task_columns;
  bool b_in_place;  // B is read where it lies, and nothing is shared
  int threads;
};

// Where a step of the inner dimension finds the columns (of B) or rows (of A) of a tile side by
// side, the microkernel may read the matrix itself. Strides of whole pages put all steps into the
// same few places of the cache, so those are packed.
bool lies_along(std::int64_t along, std::int64_t step) {
  return along == 1 && step % kPageFloats != 0;
}

// A weight's gradient, dY^T X: either operand would be packed for few products (384 for each value
// at nano-10m), and every pack ends in threads that wait for each other. Read in place they gained
// PLACEHOLDER.
bool reads_b_in_place(const Gemm& p) {
  return lies_along(p.a.row_step, p.a.column_step) && lies_along(p.b.column_step, p.b.row_step) &&
         p.columns % kTileColumns == 0;
}

std::int64_t even_blocks(std::int64_t n, std::int64_t largest, std::int64_t granule) {
  return round_up(ceil_div(n, ceil_div(n, largest)), granule);
}

Blocking choose_blocking(const Gemm& p) {
  Blocking cut;
  cut.threads = threads_for(p.rows * p.columns * p.depth / 32);
  cut.b_in_place = reads_b_in_place(p);
  if (cut.b_in_place) {
    cut.shared_depth = p.depth;
    cut.pass_depth = even_blocks(p.depth, kPassDepth, 1);
    cut.shared_columns = p.columns;
    cut.task_rows = even_blocks(p.rows, kInPlaceRows, kTileRows);
    cut.task_columns = even_blocks(p.columns, kInPlaceColumns, kTileColumns);
    return cut;
  }
  cut.shared_depth = even_blocks(p.depth, kSharedDepth, 1);
  cut.pass_depth = even_blocks(cut.shared_depth, kPassDepth, 1);
  const std::int64_t columns_that_fit =
      std::max<std::int64_t>(kSharedFloats / cut.shared_depth / kTileColumns, 1) * kTileColumns;
  cut.shared_columns = even_blocks(p.columns, columns_that_fit, kTileColumns);
  cut.task_rows = even_blocks(p.rows, kTaskRows, kTileRows);
  const std::int64_t row_tasks = ceil_div(p.rows, cut.task_rows);
  const std::int64_t wanted = cut.threads == 1 ? 1 : cut.threads * kTasksPerThread;
  const std::int64_t column_tasks = std::clamp<std::int64_t>(cut.shared_columns / kLeastTaskColumns,
                                                             1, ceil_div(wanted, row_tasks));
  cut.task_columns =
      even_blocks(cut.shared_columns, ceil_div(cut.shared_columns, column_tasks), kTileColumns);
  return cut;
}

// What a thread works on at the moment: depth [k, k + depth) of columns [column, column + columns).
struct SharedBlock {
  const float* packed;  // panels of kTileColumns columns, each `depth` steps long
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

// A block of A as the microkernel reads it: packed, or where it lies.
struct RowsOfA {
  const float* data;
  std::int64_t k_step, row_step;
};

struct ColumnsOfB {
  const float* data;
  std::int64_t k_step;
};

void multiply_tile(const Gemm& p, const Pass& pass, const RowsOfA& a, const ColumnsOfB& b,
                   std::int64_t row, std::int64_t column, int rows, int columns) {
  float* c = p.c + row * p.columns + column;
  const bool add_to_c = p.accumulate || !pass.first;
  const float* start = add_to_c ? c : p.bias != nullptr ? p.bias + column : kZeros;
  const std::int64_t start_step = add_to_c ? p.columns : 0;
  TileTask task{pass.depth, a.data, a.k_step,   a.row_step, b.data,
                b.k_step,   start,  start_step, c,          p.columns};
  alignas(64) float edge[kTileRows * kTileColumns];
  if (columns < kTileColumns) {  // ragged: a whole tile beside c, of which the valid part is taken
    task.start = kZeros;
    task.start_step = 0;
    task.c = edge;
    task.c_step = kTileColumns;
  }
  if (a.row_step == 1) {
    run_tile<1>(rows, task);
  } else {
    run_tile<kAnyRow>(rows, task);
  }
  for (int r = 0; r < rows && columns < kTileColumns; ++r) {
    for (int j = 0; j < columns; ++j) {
      c[r * p.columns + j] = start[r * start_step + j] + edge[r * kTileColumns + j];
    }
  }
  if (pass.last && (p.gelu != nullptr || p.slope_of != nullptr))
    finish_tile(p, row, column, rows, columns);
}

// Where rows lie contiguous along the depth, the microkernel reads six streams that the hardware
// fetches ahead; packing them first took 2 to 5% of the time. Rows whose distance is a multiple of
// a page compete for the same places in the cache, so those are packed, as are columns.
bool reads_in_place(const MatrixView& a) {
  return a.column_step == 1 && a.row_step % kPageFloats != 0;
}

ColumnsOfB columns_of_b(const Gemm& p, const Blocking& cut, const SharedBlock& block,
                        std::int64_t k, std::int64_t column) {
  if (cut.b_in_place) return {p.b.data + (block.k + k) * p.b.row_step + column, p.b.row_step};
  return {block.packed + (column - block.column) * block.depth + k * kTileColumns, kTileColumns};
}

RowsOfA rows_of_a(const Gemm& p, const Blocking& cut, const float* packed, std::int64_t k,
                  std::int64_t first, std::int64_t row, std::int64_t depth) {
  if (cut.b_in_place) return {p.a.data + row + k * p.a.column_step, p.a.column_step, 1};
  if (reads_in_place(p.a)) return {p.a.data + row * p.a.row_step + k, 1, p.a.row_step};
  return {packed + (row - first) * depth, kTileRows, 1};
}

// Rows [row, row_end) times columns [column, column_end) of the shared block, all of its depth.
void run_task(const Gemm& p, const Blocking& cut, const SharedBlock& block, std::int64_t row,
              std::int64_t column, float* packed_a) {
  const std::int64_t row_end = std::min(row + cut.task_rows, p.rows);
  const std::int64_t column_end = std::min(column + cut.task_columns, block.column + block.columns);
  const bool packs = !cut.b_in_place && !reads_in_place(p.a);
  for (std::int64_t k = 0; k < block.depth; k += cut.pass_depth) {
    const std::int64_t depth = std::min(cut.pass_depth, block.depth - k);
    const Pass pass{depth, block.k + k == 0, block.k + k + depth == p.depth};
    if (packs) {
      const MatrixView source{p.a.data + row * p.a.row_step + (block.k + k) * p.a.column_step,
                              p.a.row_step, p.a.column_step};
      pack<kTileRows>(packed_a, source, row_end - row, depth);
    }
    for (std::int64_t j = column; j < column_end; j += kTileColumns) {
      const ColumnsOfB b = columns_of_b(p, cut, block, k, j);
      const int width = static_cast<int>(std::min<std::int64_t>(kTileColumns, column_end - j));
      for (std::int64_t i = row; i < row_end; i += kTileRows) {
        const int height = static_cast<int>(std::min<std::int64_t>(kTileRows, row_end - i));
        const RowsOfA a = rows_of_a(p, cut, packed_a, block.k + k, row, i, depth);
        multiply_tile(p, pass, a, b, i, j, height, width);
      }
    }
  }
}

// Every thread of the team calls this: together they pack the block of B, then share the tasks.
void run_block(const Gemm& p, const Blocking& cut, const SharedBlock& block, float* packed_b,
               float* packed_a) {
  if (!cut.b_in_place) pack_b(p, block, packed_b);
  const std::int64_t column_tasks = ceil_div(block.columns, cut.task_columns);
  const std::int64_t tasks = column_tasks * ceil_div(p.rows, cut.task_rows);
#pragma omp for schedule(dynamic)
  for (std::int64_t task = 0; task < tasks; ++task) {
    run_task(p, cut, block, task / column_tasks * cut.task_rows,
             block.column + task % column_tasks * cut.task_columns, packed_a);
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

std::int64_t packed_a_floats(std::int64_t rows, std::int64_t depth) {
  return round_up(std::min(round_up(rows, kTileRows), kTaskRows) * std::min(depth, kPassDepth), 16);
}

std::int64_t packed_b_floats(std::int64_t columns, std::int64_t depth) {
  const std::int64_t whole = round_up(columns, kTileColumns) * std::min(depth, kSharedDepth);
  return round_up(std::min(whole, std::max(kSharedFloats, kTileColumns * kSharedDepth)), 16);
}

}  // namespace

std::int64_t gemm_scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  return packed_b_floats(columns, depth) + omp_get_max_threads() * packed_a_floats(rows, depth);
}

void gemm(const Gemm& p, float* scratch) {
  if (p.rows <= 0 || p.columns <= 0) return;
  if (p.depth <= 0) {
    fill_without_depth(p);
    return;
  }
  const Blocking cut = choose_blocking(p);
  float* const packed_b = scratch;
  float* const packed_a = scratch + packed_b_floats(p.columns, p.depth);
  const std::int64_t floats_of_a = packed_a_floats(p.rows, p.depth);
#pragma omp parallel num_threads(cut.threads) if (cut.threads > 1)
  for (std::int64_t column = 0; column < p.columns; column += cut.shared_columns) {
    for (std::int64_t k = 0; k < p.depth; k += cut.shared_depth) {
      const SharedBlock block{packed_b, column, std::min(cut.shared_columns, p.columns - column), k,
                              std::min(cut.shared_depth, p.depth - k)};
      run_block(p, cut, block, packed_b, packed_a + omp_get_thread_num() * floats_of_a);
    }
  }
}

}  // namespace tinygpt::cpu
