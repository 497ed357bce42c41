// The blocking follows Goto, van de Geijn: "Anatomy of High-Performance Matrix Multiplication"
// (2008), sections 4 and 5, and Van Zee, van de Geijn: "BLIS" (2015), figure 1: panels of B stay in
// the level-1 cache while a block of A streams from level 2 past them.
#include "tinygpt/cpu/gemm.h"

#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/blocking.h"
#include "tinygpt/cpu/microkernel.h"
#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {
namespace {

// Rows of B that a thread packs at a time.
constexpr std::int64_t kPackDepth = 64;

// What a thread works on at the moment: depth [k, k + depth) of columns [column, column + columns).
template <class Operands>
struct SharedBlock {
  // Panels of kTileColumns columns, each `depth` steps long, if B is packed.
  const typename Operands::Element* packed;
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
template <class Operands>
struct Panel {
  const typename Operands::Element* data;
  std::int64_t step;
  std::int64_t row_step = 1;
  typename Operands::Element* pack_to = nullptr;
};

template <class Operands, bool PacksB>
void run_tile_for(int rows, const TileTaskOf<typename Operands::Element>& task) {
  if constexpr (!Operands::kRounded) {
    if (task.packed_a != nullptr) return run_tile<1, true, PacksB, Operands>(rows, task);
  }
  if (task.a_row == 1) {
    run_tile<1, false, PacksB, Operands>(rows, task);
  } else {
    run_tile<kAnyRow, false, PacksB, Operands>(rows, task);
  }
}

template <class Operands>
void multiply_tile(const Gemm& p, const Pass& pass, const Panel<Operands>& a,
                   const Panel<Operands>& b, std::int64_t row, std::int64_t column, int rows,
                   int columns) {
  float* c = p.c + row * p.columns + column;
  const bool add_to_c = p.accumulate || !pass.first;
  const float* start = add_to_c ? c : p.bias != nullptr ? p.bias + column : kZeros;
  const std::int64_t start_step = add_to_c ? p.columns : 0;
  TileTaskOf<typename Operands::Element> task{pass.depth, a.data,    a.step,    a.row_step,
                                              b.data,     b.step,    start,     start_step,
                                              c,          p.columns, a.pack_to, b.pack_to};
  const bool finish = pass.last && (p.gelu != nullptr || p.slope_of != nullptr);
  alignas(64) float edge[kTileRows * kTileColumns];
  if (columns < kTileColumns) {  // ragged: a whole tile beside c, of which the valid part is taken
    task.start = kZeros;
    task.start_step = 0;
    task.c = edge;
    task.c_step = kTileColumns;
  }
  if (finish) fetch_for_finish(p, row, column, rows, columns);
  if (!Operands::kRounded && task.packed_b != nullptr) {
    run_tile_for<Operands, !Operands::kRounded>(rows, task);
  } else {
    run_tile_for<Operands, false>(rows, task);
  }
  for (int r = 0; r < rows && columns < kTileColumns; ++r) {
    for (int j = 0; j < columns; ++j) {
      c[r * p.columns + j] = start[r * start_step + j] + edge[r * kTileColumns + j];
    }
  }
  if (finish) finish_tile(p, row, column, rows, columns);
}

// A thread's own room.
template <class Operands>
struct Room {
  typename Operands::Element* a;  // kTaskTiles panels
  typename Operands::Element* b;  // one panel
};

// One task: rows and columns of c, for all depth of a shared block.
struct Task {
  std::int64_t row, row_end, column, column_end;
};

// Operands that are rounded are copied in any case. Rows that are contiguous stay rows then: the
// microkernel reads them where they lie as well as panels, and they need no transposition.
template <class Operands>
bool keeps_rows(const MatrixView& a) {
  return Operands::kRounded && a.column_step == 1;
}

// Elements from one such row to the next: whole vectors, and never a multiple of a page.
constexpr std::int64_t row_size(std::int64_t depth) { return (depth / 16 + 2) * 16; }

// All rows of A of a task, elements [k, k + depth), for panel_of_a.
template <class Operands>
void pack_a(const Gemm& p, const Task& task, std::int64_t k, std::int64_t depth,
            const Room<Operands>& room) {
  const std::int64_t rows = task.row_end - task.row, first = k * Operands::kDepth;
  const MatrixView source{p.a.data + task.row * p.a.row_step + first * p.a.column_step,
                          p.a.row_step, p.a.column_step};
  const std::int64_t floats = floats_of<Operands>(p, k, depth);
  if (keeps_rows<Operands>(p.a)) {
    pack_rows<Operands>(room.a, row_size(depth), source, rows, floats);
  } else {
    pack<kTileRows, Operands>(room.a, source, rows, floats);
  }
}

// The panel of A at `row` in a pass that begins at k, for the tile at `column`.
template <class Operands>
Panel<Operands> panel_of_a(const Gemm& p, Reads reads, const Task& task, std::int64_t k,
                           std::int64_t depth, std::int64_t row, std::int64_t column,
                           const Room<Operands>& room) {
  if (keeps_rows<Operands>(p.a)) {
    return {room.a + (row - task.row) * row_size(depth), 1, row_size(depth)};
  }
  auto* packed = room.a + (row - task.row) * depth;
  if constexpr (!Operands::kRounded) {
    const float* there = p.a.data + row * p.a.row_step + k * p.a.column_step;
    if (reads == Reads::in_place) return {there, p.a.column_step, p.a.row_step};
    if (reads == Reads::packed_on_the_way && column == task.column) {
      return {there, p.a.column_step, 1, packed};
    }
  }
  return {packed, kTileRows};
}

template <class Operands>
Panel<Operands> panel_of_b(const Gemm& p, Reads reads, const SharedBlock<Operands>& block,
                           const Task& task, std::int64_t k, std::int64_t row, std::int64_t column,
                           const Room<Operands>& room) {
  if constexpr (!Operands::kRounded) {
    const float* there = p.b.data + k * p.b.row_step + column;
    if (reads == Reads::in_place) return {there, p.b.row_step};
    if (reads == Reads::packed_on_the_way) {
      if (row > task.row) return {room.b, kTileColumns};
      const bool last_use = row + kTileRows >= task.row_end;
      return {there, p.b.row_step, 1, last_use ? nullptr : room.b};
    }
  }
  return {block.packed + (column - block.column) * block.depth + (k - block.k) * kTileColumns,
          kTileColumns};
}

template <class Operands>
Task find_task(const Gemm& p, const Blocking& cut, const SharedBlock<Operands>& block,
               std::int64_t number) {
  const std::int64_t row_part = number / cut.column_tasks, column_part = number % cut.column_tasks;
  const auto row = [&](std::int64_t part) {
    return part_begin(p.rows, kTileRows, part, cut.row_tasks);
  };
  const auto column = [&](std::int64_t part) {
    return block.column + part_begin(block.columns, kTileColumns, part, cut.column_tasks);
  };
  return {row(row_part), row(row_part + 1), column(column_part), column(column_part + 1)};
}

template <class Operands>
void run_task(const Gemm& p, const Blocking& cut, const SharedBlock<Operands>& block,
              const Task& task, const Room<Operands>& room) {
  const std::int64_t k_end = block.k + block.depth;
  for (std::int64_t k = block.k; k < k_end; k += cut.pass_depth) {
    const std::int64_t depth = std::min(cut.pass_depth, k_end - k);
    const Pass pass{depth, k == 0, k + depth == elements_of<Operands>(p.depth)};
    if (cut.a == Reads::packed) pack_a<Operands>(p, task, k, depth, room);
    for (std::int64_t j = task.column; j < task.column_end; j += kTileColumns) {
      const int width = static_cast<int>(std::min<std::int64_t>(kTileColumns, task.column_end - j));
      for (std::int64_t i = task.row; i < task.row_end; i += kTileRows) {
        const int height = static_cast<int>(std::min<std::int64_t>(kTileRows, task.row_end - i));
        multiply_tile<Operands>(p, pass, panel_of_a<Operands>(p, cut.a, task, k, depth, i, j, room),
                                panel_of_b<Operands>(p, cut.b, block, task, k, i, j, room), i, j,
                                height, width);
      }
    }
  }
}

// Every thread of the team calls this: together they pack the block of B, then share the tasks.
template <class Operands>
void run_block(const Gemm& p, const Blocking& cut, const SharedBlock<Operands>& block,
               typename Operands::Element* packed_b, const Room<Operands>& room) {
  if (cut.b == Reads::packed) pack_b<Operands>(p, block, packed_b);
#pragma omp for schedule(dynamic)
  for (std::int64_t task = 0; task < cut.row_tasks * cut.column_tasks; ++task) {
    run_task<Operands>(p, cut, block, find_task<Operands>(p, cut, block, task), room);
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

// Elements of a task's block of A, of a thread's room, and of the shared block of B.
template <class Operands>
std::int64_t task_a_size(std::int64_t rows, std::int64_t depth) {
  const std::int64_t deep = std::min(elements_of<Operands>(depth), kPassDepth<Operands>);
  return round_up(
      std::min(round_up(rows, kTileRows), kTaskRows) * (Operands::kRounded ? row_size(deep) : deep),
      16);
}

template <class Operands>
std::int64_t room_size(std::int64_t rows, std::int64_t depth) {
  const std::int64_t deep = std::min(elements_of<Operands>(depth), kPassDepth<Operands>);
  return task_a_size<Operands>(rows, depth) +
         (Operands::kRounded ? 0 : round_up(kTileColumns * deep, 16));
}

template <class Operands>
std::int64_t packed_b_size(std::int64_t columns, std::int64_t depth) {
  constexpr std::int64_t kMost = std::max(kSharedFloats, kTileColumns * kSharedDepth<Operands>);
  const std::int64_t deep = std::min(elements_of<Operands>(depth), kSharedDepth<Operands>);
  return round_up(std::min(round_up(columns, kTileColumns) * deep, kMost), 16);
}

template <class Operands>
std::int64_t scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  return packed_b_size<Operands>(columns, depth) +
         omp_get_max_threads() * room_size<Operands>(rows, depth);
}

// Of B, where all threads read it packed.
template <class Operands>
std::int64_t shared_size(const Gemm& p, Reads b) {
  return b == Reads::packed ? packed_b_size<Operands>(p.columns, p.depth) : 0;
}

template <class Operands>
std::int64_t scratch_size(const Gemm& p) {
  return shared_size<Operands>(p, reads_b(p)) +
         omp_get_max_threads() * room_size<Operands>(p.rows, p.depth);
}

template <class Operands>
void run(const Gemm& p, float* scratch) {
  using Element = typename Operands::Element;
  static_assert(sizeof(Element) == sizeof(float));
  const Blocking cut = choose_blocking<Operands>(p);
  auto* const packed_b = reinterpret_cast<Element*>(scratch);
  Element* const rooms = packed_b + shared_size<Operands>(p, cut.b);
  const std::int64_t room = room_size<Operands>(p.rows, p.depth);
  const std::int64_t b = task_a_size<Operands>(p.rows, p.depth);
  const std::int64_t depth = elements_of<Operands>(p.depth);
#pragma omp parallel num_threads(cut.threads) if (cut.threads > 1)
  for (std::int64_t column = 0; column < p.columns; column += cut.shared_columns) {
    for (std::int64_t k = 0; k < depth; k += cut.shared_depth) {
      const SharedBlock<Operands> block{packed_b, column,
                                        std::min(cut.shared_columns, p.columns - column), k,
                                        std::min(cut.shared_depth, depth - k)};
      Element* const mine = rooms + omp_get_thread_num() * room;
      run_block<Operands>(p, cut, block, packed_b, {mine, mine + b});
    }
  }
}

}  // namespace

std::int64_t gemm_scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                               Rounding rounding) {
  return rounding == Rounding::none ? scratch_size<FloatOperands>(rows, columns, depth)
                                    : scratch_size<Bf16Operands>(rows, columns, depth);
}

std::int64_t gemm_scratch_size(const Gemm& p) {
  return p.rounding == Rounding::none ? scratch_size<FloatOperands>(p)
                                      : scratch_size<Bf16Operands>(p);
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
