// Linear layers over quantized weights (ops/quantized.h).
//
// Weights are packed in tiles of 16 rows, so that one lane of a vector is one row and no sum ever
// crosses lanes: four columns of 16 rows make 64 bytes, eight such groups make the tile's part of a
// block, and the block's 16 scales follow. Everything is read from front to back, once, in a single
// stream: with the scales of a tile behind all its values, in a second one, weights came from memory
// 1.25 times slower (51 GB/s; so, 64; a loop that does nothing but read, 65: two threads of Zen 5).
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/byte_dot.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

constexpr int kTile = 16;                 // rows of the weight
constexpr int kGroups = kQuantBlock / 4;  // groups of four columns in a block
using Int = ByteDot::Int;
using Float = ByteDot::Float;
constexpr int kLanes = ByteDot::kLanes;
constexpr int kParts = kTile / kLanes;  // vectors that a tile's rows take

// Bytes of a tile's values in a block, and with their scales.
template <QuantType Type>
constexpr std::int64_t kValueBytes = Type == QuantType::q8_0 ? kTile * 32 : kTile * 16;
template <QuantType Type>
constexpr std::int64_t kBlockBytes = kValueBytes<Type> + kTile * std::int64_t{sizeof(Float16)};

// Bytes of a tile of `blocks` blocks, so that every tile starts a cache line.
std::int64_t tile_bytes(QuantType type, std::int64_t blocks) {
  return round_up(blocks * (type == QuantType::q8_0 ? kBlockBytes<QuantType::q8_0>
                                                    : kBlockBytes<QuantType::q4_0>),
                  64);
}

// Where lane `row` has column c of a block: its group's 64 bytes, four of them its own.
int place(int row, int c) { return c / 4 * (kTile * 4) + row * 4 + c % 4; }

void pack_row(std::uint8_t* values, const BlockQ8_0& block, int row) {
  for (int c = 0; c < kQuantBlock; ++c) {
    values[place(row, c)] = static_cast<std::uint8_t>(block.q[c] + 128);
  }
}

// Byte i of a block holds columns i and i + 16, and so do the packed bytes: groups 0 to 3 in the
// low halves, groups 4 to 7 in the high ones.
void pack_row(std::uint8_t* values, const BlockQ4_0& block, int row) {
  for (int c = 0; c < kQuantBlock / 2; ++c) values[place(row, c)] = block.q[c];
}

template <QuantType Type, class Block>
void pack_tile(std::uint8_t* tile, const Block* blocks, int rows, std::int64_t row_blocks) {
  // Rows that the matrix does not have get the scale 0.
  std::memset(tile, 0, static_cast<std::size_t>(tile_bytes(Type, row_blocks)));
  for (int row = 0; row < rows; ++row) {
    for (std::int64_t b = 0; b < row_blocks; ++b) {
      const Block& block = blocks[row * row_blocks + b];
      std::uint8_t* const packed = tile + b * kBlockBytes<Type>;
      pack_row(packed, block, row);
      std::memcpy(packed + kValueBytes<Type> + row * sizeof(Float16), &block.d, sizeof(Float16));
    }
  }
}

template <QuantType Type, class Block>
void pack(std::uint8_t* packed, const Block* blocks, int rows, int cols) {
  const std::int64_t row_blocks = cols / kQuantBlock;
  parallel_tasks(ceil_div(rows, kTile), std::int64_t{kTile} * cols, [=](std::int64_t t) {
    pack_tile<Type>(packed + t * tile_bytes(Type, row_blocks), blocks + t * kTile * row_blocks,
                    static_cast<int>(std::min<std::int64_t>(kTile, rows - t * kTile)), row_blocks);
  });
}

// The activations of up to kRows rows, in eight bits: block by block the rows' values, then block
// by block their scales and what is to be subtracted from the integer sum for the weights' offset.
// A kernel reads it from front to back.
struct Activations {
  std::int8_t* q;       // [blocks, rows, 32]
  float* d;             // [blocks, rows]
  std::int32_t* minus;  // [blocks, rows]

  Activations(float* scratch, std::int64_t blocks, std::int64_t rows)
      : q(reinterpret_cast<std::int8_t*>(scratch)),
        d(scratch + blocks * rows * (kQuantBlock / 4)),
        minus(reinterpret_cast<std::int32_t*>(d + blocks * rows)) {}
};
constexpr std::int64_t kBlockFloats = kQuantBlock / 4 + 2;  // of scratch

// d = max |x| / 127 in half precision, q = x / d to the nearest, ties to even.
void quantize_block(std::int8_t* q, float* d, std::int32_t* minus, const float* x, int offset) {
  // Magnitudes compare like the integers that their bits are, and NaN is above them all.
  std::uint32_t bits[kQuantBlock];
  std::memcpy(bits, x, sizeof(bits));
  std::uint32_t largest = 0;
  for (int i = 0; i < kQuantBlock; ++i) largest = std::max(largest, bits[i] & 0x7fffffff);
  const float scale = std::bit_cast<float>(largest) / 127.0f;
  *d = Float16(scale);
  if (!(*d <= 65504.0f)) {
    // No scale holds this block. Its row's results are NaN, rather than wrong in silence.
    *d = std::numeric_limits<float>::quiet_NaN();
    *minus = 0;
    std::memset(q, 0, kQuantBlock);
    return;
  }
  const float inverse = std::isnormal(scale) ? 1.0f / scale : 0.0f;
  std::int32_t sum = 0;
  for (int i = 0; i < kQuantBlock; ++i) {
    const auto rounded = static_cast<std::int32_t>(std::rint(x[i] * inverse));
    q[i] = static_cast<std::int8_t>(rounded);
    sum += rounded;
  }
  *minus = -offset * sum;
}

void quantize_rows(float* scratch, const float* x, std::int64_t blocks, std::int64_t rows,
                   int offset) {
  const Activations a(scratch, blocks, rows);
  for (std::int64_t b = 0; b < blocks; ++b) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t i = b * rows + r;
      quantize_block(a.q + i * kQuantBlock, a.d + i, a.minus + i,
                     x + (r * blocks + b) * kQuantBlock, offset);
    }
  }
}

template <class Vector>
Vector load(const void* p) {
  Vector v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

template <class Vector>
void store(void* p, Vector v) {
  std::memcpy(p, &v, sizeof(v));
}

Int broadcast4(const std::int8_t* p) { return load<std::int32_t>(p) - Int{}; }

// acc[r] += the block's products of the lanes' rows with row r of x, as integers.
template <QuantType Type, int Rows>
void add_block(Int (&acc)[Rows], const std::uint8_t* values, const std::int8_t* q) {
  const auto add = [&](Int weight, int group) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Int x = broadcast4(q + r * kQuantBlock + group * 4);
      acc[r] = Type == QuantType::q8_0 ? ByteDot::dot8(acc[r], weight, x)
                                       : ByteDot::dot(acc[r], weight, x);
    }
  };
  if constexpr (Type == QuantType::q8_0) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) add(load<Int>(values + g * kTile * 4), g);
  } else {
#pragma GCC unroll 4
    for (int g = 0; g < kGroups / 2; ++g) {
      const Int both = load<Int>(values + g * kTile * 4);
      add(both & 0x0f0f0f0f, g);
      add(both >> 4 & 0x0f0f0f0f, g + kGroups / 2);
    }
  }
}

// A tile's rows times `Rows` rows of activations: out[r * out_step + lane] for `lanes` lanes.
struct TileProduct {
  const std::uint8_t* tile;
  const float* activations;
  std::int64_t blocks;
  const float* bias;  // of the tile's first row, or nullptr
  float* out;
  std::int64_t out_step;
  int lanes;
};

// Rows of whole tiles are one store each; copies of a length that only the last tile has cost more
// than a tile's products.
void write_rows(const TileProduct& task, const Float* sum, int rows, int first_lane) {
  const int lanes = task.lanes - first_lane;
  const float* bias = task.bias != nullptr ? task.bias + first_lane : nullptr;
  for (int r = 0; r < rows; ++r) {
    float* out = task.out + r * task.out_step + first_lane;
    if (lanes >= kLanes) {
      store(out, bias != nullptr ? sum[r] + load<Float>(bias) : sum[r]);
      continue;
    }
    for (int lane = 0; lane < lanes; ++lane) {
      out[lane] = bias != nullptr ? sum[r][lane] + bias[lane] : sum[r][lane];
    }
  }
}

// The processor fetches ahead by itself, but stops at the end of a page, every few tiles. For four
// bits, which are soon used up, asking for what is two pages ahead gains 9%; for eight it costs 5%
// (decoding with two threads of Zen 5).
template <QuantType Type>
void prefetch(const std::uint8_t* block) {
  if constexpr (Type == QuantType::q4_0) {
    constexpr std::int64_t kAhead = 8192;
    for (std::int64_t i = 0; i < kBlockBytes<Type>; i += 64) __builtin_prefetch(block + kAhead + i);
  }
}

template <QuantType Type, int Rows>
void tile_product(const TileProduct& task) {
  const Activations a(const_cast<float*>(task.activations), task.blocks, Rows);
  for (int part = 0; part < kParts; ++part) {
    const std::uint8_t* block = task.tile;
    Float sum[Rows] = {};
#pragma GCC unroll 1
    for (std::int64_t b = 0; b < task.blocks; ++b, block += kBlockBytes<Type>) {
      Int acc[Rows];
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) acc[r] = a.minus[b * Rows + r] - Int{};
      add_block<Type, Rows>(acc, block + part * kLanes * 4, a.q + b * Rows * kQuantBlock);
      if (part == 0) prefetch<Type>(block);
      const auto* scales = reinterpret_cast<const Float16*>(block + kValueBytes<Type>);
      const Float d = ByteDot::widen(scales + part * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        sum[r] += __builtin_convertvector(acc[r], Float) * (d * a.d[b * Rows + r]);
      }
    }
    write_rows(task, sum, Rows, part * kLanes);
  }
}

using TileKernel = void(const TileProduct& task);

template <QuantType Type, std::size_t... I>
TileKernel* kernel_for(std::int64_t rows, std::index_sequence<I...>) {
  static constexpr TileKernel* kKernels[] = {tile_product<Type, static_cast<int>(I) + 1>...};
  return kKernels[rows - 1];
}

TileKernel* kernel_for(QuantType type, std::int64_t rows) {
  constexpr auto kIndices = std::make_index_sequence<ByteDot::kRows>{};
  return type == QuantType::q8_0 ? kernel_for<QuantType::q8_0>(rows, kIndices)
                                 : kernel_for<QuantType::q4_0>(rows, kIndices);
}

// Rows of x that are worked on together: what their activations take of the second-level cache
// leaves room for weights.
std::int64_t rows_at_a_time(std::int64_t cols) {
  constexpr std::int64_t kBytes = 512 * 1024;
  const std::int64_t bytes = std::max<std::int64_t>(cols, kQuantBlock) * 5 / 4;  // of a row
  return std::max<std::int64_t>(1, kBytes / bytes / ByteDot::kRows) * ByteDot::kRows;
}

// A product of a few rows, for a team that is awake. A chunk is some tiles.
struct FewRows {
  TileKernel* kernel;
  const std::uint8_t* packed;
  const float* bias;
  float* out;
  std::int64_t rows, blocks, tile_size, chunk_rows, N;

  void compute(const void* activations, void* copy, std::int64_t chunk) const {
    const std::int64_t begin = chunk * chunk_rows, end = std::min(begin + chunk_rows, rows);
    const std::int64_t step = copy != nullptr ? chunk_rows : rows;
    float* const to = copy != nullptr ? static_cast<float*>(copy) : out + begin;
    for (std::int64_t o = begin; o < end; o += kTile) {
      kernel({packed + o / kTile * tile_size, static_cast<const float*>(activations), blocks,
              bias != nullptr ? bias + o : nullptr, to + o - begin, step,
              static_cast<int>(std::min<std::int64_t>(kTile, rows - o))});
    }
  }

  void commit(const void* copy, std::int64_t chunk) const {
    const std::int64_t begin = chunk * chunk_rows, end = std::min(begin + chunk_rows, rows);
    for (std::int64_t n = 0; n < N; ++n) {
      std::copy_n(static_cast<const float*>(copy) + n * chunk_rows, end - begin,
                  out + n * rows + begin);
    }
  }
};

int offset_of(QuantType type) { return type == QuantType::q8_0 ? ByteDot::kOffset8 : 8; }

}  // namespace

std::int64_t quantized_packed_size(QuantType type, int rows, int cols) {
  return ceil_div(rows, kTile) * tile_bytes(type, cols / kQuantBlock);
}

void quantized_pack(void* packed, const void* blocks, QuantType type, int rows, int cols) {
  check(cols % kQuantBlock == 0, "quantized_pack: rows must be multiples of 32 values");
  auto* to = static_cast<std::uint8_t*>(packed);
  if (type == QuantType::q8_0) {
    pack<QuantType::q8_0>(to, static_cast<const BlockQ8_0*>(blocks), rows, cols);
  } else {
    pack<QuantType::q4_0>(to, static_cast<const BlockQ4_0*>(blocks), rows, cols);
  }
}

std::int64_t quantized_scratch_size(int N, int /*rows*/, int cols) {
  return std::int64_t{N} * (cols / kQuantBlock) * kBlockFloats;
}

void quantized_linear_forward(float* out, const float* x, const QuantizedMatrix& weight,
                              const float* bias, float* scratch, int N) {
  const std::int64_t rows = weight.rows, cols = weight.cols, blocks = cols / kQuantBlock;
  check(cols % kQuantBlock == 0, "quantized_linear_forward: cols must be a multiple of 32");
  constexpr std::int64_t kRows = ByteDot::kRows;
  const auto* packed = static_cast<const std::uint8_t*>(weight.packed);
  const std::int64_t tile_size = tile_bytes(weight.type, blocks);
  const auto group = [=](std::int64_t n) { return scratch + n * blocks * kBlockFloats; };

  parallel_ranges(N, kRows, cols / 2 + 1, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; n += kRows) {
      quantize_rows(group(n), x + n * cols, blocks, std::min(kRows, end - n),
                    offset_of(weight.type));
    }
  });
  if (N <= kRows && leads_team() && threads_for(rows * (cols / 4 + 1)) > 1) {
    const std::int64_t bytes =
        quantized_scratch_size(N, 0, weight.cols) * std::int64_t{sizeof(float)};
    const std::int64_t rows_each = chunk_of(rows, kTile, N * cols / 4 + 1);
    const std::int64_t out_bytes = N * rows_each * std::int64_t{sizeof(float)};
    if (bytes <= kMostInput && out_bytes <= kMostOutput) {
      run_product(ceil_div(rows, rows_each),
                  FewRows{kernel_for(weight.type, N), packed, bias, out, rows, blocks, tile_size,
                          rows_each, N},
                  scratch, bytes, out_bytes);
      return;
    }
  }
  const std::int64_t chunk = rows_at_a_time(cols);
  for (std::int64_t first = 0; first < N; first += chunk) {
    const std::int64_t last = std::min<std::int64_t>(N, first + chunk);
    const std::int64_t steps = (last - first) * cols / 4 + 1;
    parallel_ranges(rows, kTile, steps, [=](std::int64_t o, std::int64_t end) {
      for (; o < end; o += kTile) {
        for (std::int64_t n = first; n < last; n += kRows) {
          const std::int64_t count = std::min(kRows, last - n);
          kernel_for(weight.type,
                     count)({packed + o / kTile * tile_size, group(n), blocks,
                             bias != nullptr ? bias + o : nullptr, out + n * rows + o, rows,
                             static_cast<int>(std::min<std::int64_t>(kTile, rows - o))});
        }
      }
    });
  }
}

}  // namespace tinygpt::cpu
