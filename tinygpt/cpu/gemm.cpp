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
// in the level-1 cache. Pairs are read from level 2 as fast, and deeper passes leave c alone for
// longer: 2% of their time (3% of dX in a step of nano-10m).
template <class Operands>
constexpr std::int64_t kPassDepth = Operands::kDepth == 1 ? 384 : 768;
// Tiles of rows in a task's block of A, at most: 74 KB of floats at 8 lanes, small beside a
// level-2 cache. Twice or half as many measured the same; fewer rows share out more evenly.
constexpr std::int64_t kTaskTiles = 8;
constexpr std::int64_t kTaskRows = kTaskTiles * kTileRows;
// The packed block of B that all threads share: 4 MB of the level-3 cache, whatever the matrix.
constexpr std::int64_t kSharedPasses = 6;
template <class Operands>
constexpr std::int64_t kSharedDepth = kSharedPasses* kPassDepth<Operands>;
constexpr std::int64_t kSharedFloats = std::int64_t{1} << 20;
// A task's columns shrink to this when there are few rows to share out.
constexpr std::int64_t kLeastTaskColumns = 8 * kTileColumns;
constexpr std::int64_t kPageFloats = 1024;
// Rows of B that a thread packs at a time.
constexpr std::int64_t kPackDepth = 64;
// Tasks a thread should find, so that the last one to finish keeps the others waiting only briefly.
constexpr std::int64_t kTasksPerThread = 12;

// How the loops are cut. Blocks of one loop are as equal as their granule allows: 1,025 rows make
// no block of 1. Depths count elements (operands.h) here and in all that follows, but for that of
// the product itself: a pair of bf16 is as large as a float, so the caches hold as many.
struct Blocking {
  std::int64_t shared_depth, shared_columns;  // of the packed block of B
  std::int64_t pass_depth;                    // of one pass over it
  std::int64_t row_tasks, column_tasks;       // that share out a block
  int threads;
};

std::int64_t even_blocks(std::int64_t n, std::int64_t largest, std::int64_t granule) {
  return round_up(ceil_div(n, ceil_div(n, largest)), granule);
}

// Where rows lie contiguous along the depth, the microkernel reads as many streams as the tile has
// rows, which the hardware fetches ahead; packing them first took 2 to 5% of the time. Rows whose
// distance is a multiple of a page compete for the same places in the cache, so those are packed.
// So are columns: read where they lie they are as fast in a cache, and slower from memory by a
// fifth of a weight's gradient (measured in a step of nano-10m, Zen 5).
template <class Operands>
bool reads_in_place(const MatrixView& a) {
  return !Operands::kRounded && a.column_step == 1 && a.row_step % kPageFloats != 0;
}

// Every thread should find the same number of tasks, all of nearly the same size. Rows that have to
// be packed are cut finely first, since each cut through the columns packs them once more.
template <class Operands>
void choose_tasks(Blocking& cut, const Gemm& p) {
  const std::int64_t tiles = ceil_div(p.rows, kTileRows);
  const std::int64_t wanted = cut.threads == 1 ? 1 : cut.threads * kTasksPerThread;
  const std::int64_t least = ceil_div(tiles, kTaskTiles);
  const std::int64_t finest =
      reads_in_place<Operands>(p.a) ? least : std::max(least, ceil_div(tiles, 2));
  cut.row_tasks = std::clamp(wanted, least, finest);
  if (cut.row_tasks + cut.threads <= tiles) cut.row_tasks = round_up(cut.row_tasks, cut.threads);
  const bool many = cut.row_tasks * 3 >= wanted;  // a quarter more or less is no matter
  const std::int64_t most = std::max<std::int64_t>(cut.shared_columns / kLeastTaskColumns, 1);
  cut.column_tasks =
      reads_in_place<Operands>(p.a) || !many ? std::min(most, ceil_div(wanted, cut.row_tasks)) : 1;
}

template <class Operands>
Blocking choose_blocking(const Gemm& p) {
  Blocking cut;
  cut.threads = threads_for(p.rows * p.columns * p.depth / 32);
  const std::int64_t depth = elements_of<Operands>(p.depth);
  cut.pass_depth = even_blocks(depth, kPassDepth<Operands>, 1);
  // Rows that have to be packed are packed once for each block of columns: all of these at once,
  // and less of the depth.
  const std::int64_t passes_of_all =
      kSharedFloats / (cut.pass_depth * round_up(p.columns, kTileColumns));
  const std::int64_t passes = reads_in_place<Operands>(p.a)
                                  ? kSharedPasses
                                  : std::clamp<std::int64_t>(passes_of_all, 1, kSharedPasses);
  cut.shared_depth = std::min(passes * cut.pass_depth, depth);
  const std::int64_t columns_that_fit =
      std::max<std::int64_t>(kSharedFloats / cut.shared_depth / kTileColumns, 1) * kTileColumns;
  cut.shared_columns = even_blocks(p.columns, columns_that_fit, kTileColumns);
  choose_tasks<Operands>(cut, p);
  return cut;
}

// The first row or column of part number `part` of `parts`, in whole tiles.
std::int64_t part_begin(std::int64_t n, std::int64_t granule, std::int64_t part,
                        std::int64_t parts) {
  return std::min(ceil_div(n, granule) * part / parts * granule, n);
}

// What a thread works on at the moment: depth [k, k + depth) of columns [column, column + columns).
template <class Operands>
struct SharedBlock {
  const typename Operands::Element*
      packed;  // panels of kTileColumns columns, each `depth` steps long
  std::int64_t column, columns;
  std::int64_t k, depth;
};

// Floats along the depth in elements [k, k + elements) of the product.
template <class Operands>
std::int64_t floats_of(const Gemm& p, std::int64_t k, std::int64_t elements) {
  return std::min((k + elements) * Operands::kDepth, p.depth) - k * Operands::kDepth;
}

// Every thread of the team calls this. Rows of B are read whole, so that memory is read in one
// stream a thread; where its columns are contiguous instead, each is one.
template <class Operands>
void pack_b(const Gemm& p, const SharedBlock<Operands>& block, typename Operands::Element* packed) {
  const std::int64_t k_step = Operands::kDepth * p.b.row_step;
  const float* source = p.b.data + block.k * k_step + block.column * p.b.column_step;
  if (p.b.column_step == 1) {
#pragma omp for schedule(dynamic)
    for (std::int64_t k = 0; k < block.depth; k += kPackDepth) {
      const std::int64_t depth = std::min(kPackDepth, block.depth - k);
      pack_along<kTileColumns, Operands>(packed + k * kTileColumns, block.depth * kTileColumns,
                                         source + k * k_step, p.b.row_step, block.columns,
                                         floats_of<Operands>(p, block.k + k, depth));
    }
  } else {
#pragma omp for schedule(dynamic)
    for (std::int64_t j = 0; j < block.columns; j += kTileColumns) {
      pack<kTileColumns, Operands>(packed + j * block.depth,
                                   {source + j * p.b.column_step, p.b.column_step, p.b.row_step},
                                   std::min<std::int64_t>(kTileColumns, block.columns - j),
                                   floats_of<Operands>(p, block.k, block.depth));
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
template <class Operands>
struct RowsOfA {
  const typename Operands::Element* data;
  std::int64_t k_step, row_step;
};

template <class Operands>
void multiply_tile(const Gemm& p, const Pass& pass, const RowsOfA<Operands>& a,
                   const typename Operands::Element* b, std::int64_t row, std::int64_t column,
                   int rows, int columns) {
  float* c = p.c + row * p.columns + column;
  const bool add_to_c = p.accumulate || !pass.first;
  const float* start = add_to_c ? c : p.bias != nullptr ? p.bias + column : kZeros;
  const std::int64_t start_step = add_to_c ? p.columns : 0;
  TileTaskOf<typename Operands::Element> task{
      pass.depth, a.data, a.k_step, a.row_step, b, kTileColumns, start, start_step, c, p.columns};
  const bool finish = pass.last && (p.gelu != nullptr || p.slope_of != nullptr);
  alignas(64) float edge[kTileRows * kTileColumns];
  if (columns < kTileColumns) {  // ragged: a whole tile beside c, of which the valid part is taken
    task.start = kZeros;
    task.start_step = 0;
    task.c = edge;
    task.c_step = kTileColumns;
  }
  if (a.row_step == 1) {
    run_tile<1, Operands>(rows, task);
  } else {
    run_tile<kAnyRow, Operands>(rows, task);
  }
  for (int r = 0; r < rows && columns < kTileColumns; ++r) {
    for (int j = 0; j < columns; ++j) {
      c[r * p.columns + j] = start[r * start_step + j] + edge[r * kTileColumns + j];
    }
  }
  if (finish) finish_tile(p, row, column, rows, columns);
}

// Operands that are rounded are copied in any case. Rows that are contiguous stay rows then: the
// microkernel reads them where they lie as well as panels, and they need no transposition.
template <class Operands>
bool keeps_rows(const MatrixView& a) {
  return Operands::kRounded && a.column_step == 1;
}

// Elements from one such row to the next: whole vectors, and never a multiple of a page.
constexpr std::int64_t row_size(std::int64_t depth) { return (depth / 16 + 2) * 16; }

// Rows [row, row + rows) of A, elements [k, k + depth), for rows_of_a.
template <class Operands>
void pack_a(const Gemm& p, typename Operands::Element* packed, std::int64_t k, std::int64_t row,
            std::int64_t rows, std::int64_t depth) {
  const MatrixView source{p.a.data + row * p.a.row_step + k * Operands::kDepth * p.a.column_step,
                          p.a.row_step, p.a.column_step};
  const std::int64_t floats = floats_of<Operands>(p, k, depth);
  if (keeps_rows<Operands>(p.a)) {
    pack_rows<Operands>(packed, row_size(depth), source, rows, floats);
  } else {
    pack<kTileRows, Operands>(packed, source, rows, floats);
  }
}

// Where row `row` begins: in place, or in what pack_a has packed of the rows from `first` on.
template <class Operands>
RowsOfA<Operands> rows_of_a(const Gemm& p, const typename Operands::Element* packed, std::int64_t k,
                            std::int64_t first, std::int64_t row, std::int64_t depth) {
  if constexpr (!Operands::kRounded) {
    if (reads_in_place<Operands>(p.a)) {
      return {p.a.data + row * p.a.row_step + k * p.a.column_step, p.a.column_step, p.a.row_step};
    }
  }
  if (keeps_rows<Operands>(p.a)) {
    return {packed + (row - first) * row_size(depth), 1, row_size(depth)};
  }
  return {packed + (row - first) * depth, kTileRows, 1};
}

// Task number `task` of the shared block, all of its depth.
template <class Operands>
void run_task(const Gemm& p, const Blocking& cut, const SharedBlock<Operands>& block,
              std::int64_t task, typename Operands::Element* packed_a) {
  const std::int64_t row_part = task / cut.column_tasks, column_part = task % cut.column_tasks;
  const std::int64_t row = part_begin(p.rows, kTileRows, row_part, cut.row_tasks);
  const std::int64_t row_end = part_begin(p.rows, kTileRows, row_part + 1, cut.row_tasks);
  const auto column_of = [&](std::int64_t part) {
    return block.column + part_begin(block.columns, kTileColumns, part, cut.column_tasks);
  };
  const std::int64_t column = column_of(column_part), column_end = column_of(column_part + 1);
  const bool packs = !reads_in_place<Operands>(p.a);
  for (std::int64_t k = 0; k < block.depth; k += cut.pass_depth) {
    const std::int64_t depth = std::min(cut.pass_depth, block.depth - k);
    const bool last = block.k + k + depth == elements_of<Operands>(p.depth);
    const Pass pass{depth, block.k + k == 0, last};
    if (packs) pack_a<Operands>(p, packed_a, block.k + k, row, row_end - row, depth);
    for (std::int64_t j = column; j < column_end; j += kTileColumns) {
      const auto* b = block.packed + (j - block.column) * block.depth + k * kTileColumns;
      const int width = static_cast<int>(std::min<std::int64_t>(kTileColumns, column_end - j));
      for (std::int64_t i = row; i < row_end; i += kTileRows) {
        const int height = static_cast<int>(std::min<std::int64_t>(kTileRows, row_end - i));
        const auto a = rows_of_a<Operands>(p, packed_a, block.k + k, row, i, depth);
        multiply_tile<Operands>(p, pass, a, b, i, j, height, width);
      }
    }
  }
}

// Every thread of the team calls this: together they pack the block of B, then share the tasks.
template <class Operands>
void run_block(const Gemm& p, const Blocking& cut, const SharedBlock<Operands>& block,
               typename Operands::Element* packed_b, typename Operands::Element* packed_a) {
  pack_b<Operands>(p, block, packed_b);
#pragma omp for schedule(dynamic)
  for (std::int64_t task = 0; task < cut.row_tasks * cut.column_tasks; ++task) {
    run_task<Operands>(p, cut, block, task, packed_a);
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

// Elements of a task's block of A, and of the shared block of B.
template <class Operands>
std::int64_t packed_a_size(std::int64_t rows, std::int64_t depth) {
  const std::int64_t deep = std::min(elements_of<Operands>(depth), kPassDepth<Operands>);
  return round_up(
      std::min(round_up(rows, kTileRows), kTaskRows) * (Operands::kRounded ? row_size(deep) : deep),
      16);
}

template <class Operands>
std::int64_t packed_b_size(std::int64_t columns, std::int64_t depth) {
  const std::int64_t deep = std::min(elements_of<Operands>(depth), kSharedDepth<Operands>);
  const std::int64_t whole = round_up(columns, kTileColumns) * deep;
  return round_up(std::min(whole, std::max(kSharedFloats, kTileColumns * kSharedDepth<Operands>)),
                  16);
}

template <class Operands>
void run(const Gemm& p, float* scratch) {
  const Blocking cut = choose_blocking<Operands>(p);
  const std::int64_t depth = elements_of<Operands>(p.depth);
  using Element = typename Operands::Element;
  static_assert(sizeof(Element) == sizeof(float));
  auto* const packed_b = reinterpret_cast<Element*>(scratch);
  Element* const packed_a = packed_b + packed_b_size<Operands>(p.columns, p.depth);
  const std::int64_t size_of_a = packed_a_size<Operands>(p.rows, p.depth);
#pragma omp parallel num_threads(cut.threads) if (cut.threads > 1)
  for (std::int64_t column = 0; column < p.columns; column += cut.shared_columns) {
    for (std::int64_t k = 0; k < depth; k += cut.shared_depth) {
      const SharedBlock<Operands> block{packed_b, column,
                                        std::min(cut.shared_columns, p.columns - column), k,
                                        std::min(cut.shared_depth, depth - k)};
      run_block<Operands>(p, cut, block, packed_b, packed_a + omp_get_thread_num() * size_of_a);
    }
  }
}

template <class Operands>
std::int64_t scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  return packed_b_size<Operands>(columns, depth) +
         omp_get_max_threads() * packed_a_size<Operands>(rows, depth);
}

}  // namespace

std::int64_t gemm_scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                               Rounding rounding) {
  return rounding == Rounding::none ? scratch_size<FloatOperands>(rows, columns, depth)
                                    : scratch_size<Bf16Operands>(rows, columns, depth);
}

void gemm(const Gemm& p, float* scratch) {
  if (p.rows <= 0 || p.columns <= 0) return;
  if (p.depth <= 0) {
    fill_without_depth(p);
  } else if (p.rounding == Rounding::none) {
    run<FloatOperands>(p, scratch);
  } else {
    run<Bf16Operands>(p, scratch);
  }
}

}  // namespace tinygpt::cpu
