// Fragments of a warp's matrices, and copies in flight.
#include "tinygpt/simt/tensor_core.h"

#include <bit>
#include <cstdint>
#include <string>

#include "tinygpt/simt/checker.h"
#include "tinygpt/simt/limits.h"

namespace tinygpt::simt {
namespace {

// Row and column of a lane's element: of a (4 registers), b (2 registers) or c (4 floats).
struct At {
  int row, column;
};
At at_a(int lane, int i, int half) {  // half: which of a register's two bf16
  return {lane / 4 + 8 * (i % 2), 2 * (lane % 4) + half + 8 * (i / 2)};
}
At at_b(int lane, int i, int half) { return {2 * (lane % 4) + half + 8 * i, lane / 4}; }
At at_a_tf32(int lane, int i) { return {lane / 4 + 8 * (i % 2), lane % 4 + 4 * (i / 2)}; }
At at_b_tf32(int lane, int i) { return {lane % 4 + 4 * i, lane / 4}; }
At at_c(int lane, int i) { return {lane / 4 + 8 * (i / 2), 2 * (lane % 4) + i % 2}; }

// A warp's product: A is 16 x K, B is K x 8.
template <int K>
struct Product {
  float a[16][K], b[K][8];

  void finish(void* const (&lanes)[32]) const {
    for (int lane = 0; lane < 32; ++lane) {
      const auto& mine = *static_cast<const MmaLane*>(lanes[lane]);
      float sums[4];
      for (int i = 0; i < 4; ++i) {
        const At at = at_c(lane, i);
        sums[i] = mine.c[i];
        for (int k = 0; k < K; ++k) sums[i] += a[at.row][k] * b[k][at.column];
      }
      // All four before any is stored: d may be c.
      std::memcpy(mine.d, sums, sizeof sums);
    }
  }
};

float bfloat16_at(std::uint32_t word, int half) {
  return from_bfloat16_bits(static_cast<unsigned short>(word >> (16 * half)));
}

void multiply_bf16(void* const (&lanes)[32]) {
  Product<16> p;
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const MmaLane*>(lanes[lane]);
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) {
        const At at = at_a(lane, i, half);
        p.a[at.row][at.column] = bfloat16_at(mine.a[i], half);
      }
      for (int i = 0; i < 2; ++i) {
        const At at = at_b(lane, i, half);
        p.b[at.row][at.column] = bfloat16_at(mine.b[i], half);
      }
    }
  }
  p.finish(lanes);
}

// The lower 13 bits of a tf32 do not count.
float tf32(std::uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

void multiply_tf32(void* const (&lanes)[32]) {
  Product<8> p;
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const MmaLane*>(lanes[lane]);
    for (int i = 0; i < 4; ++i) {
      const At at = at_a_tf32(lane, i);
      p.a[at.row][at.column] = tf32(mine.a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      const At at = at_b_tf32(lane, i);
      p.b[at.row][at.column] = tf32(mine.b[i]);
    }
  }
  p.finish(lanes);
}

struct SpreadLane {
  std::uint32_t* r;
  int matrices;
  bool transposed;
  MatrixRow row;
};

void spread(void* const (&lanes)[32]) {
  const auto element = [&](int row, int column) {
    const auto& words = static_cast<const SpreadLane*>(lanes[row])->row.words;
    return words[column / 2] >> (16 * (column % 2)) & 0xffffu;
  };
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const SpreadLane*>(lanes[lane]);
    for (int m = 0; m < mine.matrices; ++m) {
      const int across = lane / 4, along = 2 * (lane % 4), first = 8 * m;
      mine.r[m] = mine.transposed
                      ? element(first + along, across) | element(first + along + 1, across) << 16
                      : element(first + across, along) | element(first + across, along + 1) << 16;
    }
  }
}

}  // namespace

namespace {

// Ends the block where the device would not have loaded the kernel.
void require_ampere(const char* what, std::source_location where) {
  if (limits().capability >= 80) return;
  registers.runner->blame(Fault::missing_instruction,
                          std::string(what) + " needs compute capability 8.0", where);
  registers.runner->abandon();
}

}  // namespace

void mma_bf16(const MmaLane& lane, std::source_location where) {
  require_ampere("mma of bf16", where);
  MmaLane mine = lane;
  registers.runner->warp_call(multiply_bf16, &mine, where);
}

void mma_tf32(const MmaLane& lane, std::source_location where) {
  require_ampere("mma of tf32", where);
  MmaLane mine = lane;
  registers.runner->warp_call(multiply_tf32, &mine, where);
}

void spread_matrices(std::uint32_t* r, int matrices, bool transposed, const MatrixRow& row,
                     std::source_location where) {
  SpreadLane mine{r, matrices, transposed, row};
  registers.runner->warp_call(spread, &mine, where);
}

// --- Asynchronous copies

__attribute__((noinline)) void start_copy(void* shared, const void* global, int bytes,
                                          bool copied) {
  require_ampere("cp.async", std::source_location::current());
  const void* const where = __builtin_return_address(0);
  const auto size = static_cast<std::size_t>(bytes);
  Checker& checker = *registers.checker;
  if (copied) checker.access({global, size, size, AccessKind::read, where});
  checker.access({shared, size, size, AccessKind::copy_begins, where});
  AsyncCopy copy{shared, where, bytes, false, {}};
  if (copied) std::memcpy(copy.data, global, size);
  registers.runner->copies().push_back(copy);
}

void commit_copies() {
  // A group may be empty; it counts all the same.
  registers.runner->copies().push_back({nullptr, nullptr, 0, true, {}});
}

void wait_for_copies(int pending) {
  auto& copies = registers.runner->copies();
  int groups = 0;
  for (const AsyncCopy& copy : copies) groups += copy.commits;
  std::size_t done = 0;
  while (groups > pending) {
    const AsyncCopy& copy = copies[done++];
    if (copy.commits) {
      --groups;
      continue;
    }
    const auto size = static_cast<std::size_t>(copy.bytes);
    registers.checker->access({copy.shared, size, size, AccessKind::copy_ends, copy.where});
    std::memcpy(copy.shared, copy.data, size);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace tinygpt::simt
