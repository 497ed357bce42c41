// LoRA (ops/lora.h). The products with one long side go through the blocked product; what is left
// has an inner dimension of `rank`, too short for packing to pay, and runs along whole rows of out,
// with B transposed once so that its vectors lie in memory as those of out. Results are the same
// bits for any number of threads: no sum is split between threads.
#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/few_rows.h"
#include "tinygpt/cpu/gemm.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/loops.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

// ax = x A^T
void multiply_down(float* ax, const float* x, const float* a, float* scratch, int N, int C,
                   int rank) {
  if (N <= kFewRows) {
    linear_forward_few_rows(ax, x, a, nullptr, N, C, rank);
    return;
  }
  gemm({.a = {x, C, 1},
        .b = {a, 1, C},
        .c = ax,
        .gelu = nullptr,
        .bias = nullptr,
        .rows = N,
        .columns = rank,
        .depth = C,
        .accumulate = false},
       scratch);
}

// bt[r, o] = scale * b[o, r]
void transpose_scaled(float* bt, const float* b, int OC, int rank, float scale) {
  for (std::int64_t o = 0; o < OC; ++o) {
    for (std::int64_t r = 0; r < rank; ++r) bt[r * OC + o] = scale * b[o * rank + r];
  }
}

// out[o] += sum_r ax[r] * bt[r, o]: each vector of out is read and written once.
void add_row(float* out, const float* ax, const float* bt, int OC, int rank) {
  each_vector(0, OC, [=](auto io, std::int64_t o) {
    Vec sum = io.load(out + o);
    for (std::int64_t r = 0; r < rank; ++r) sum += broadcast(ax[r]) * io.load(bt + r * OC + o);
    io.store(out + o, sum);
  });
}

// Where the backward pass keeps dax, then dout's product with the scale: a multiple of a cache line
// before what the blocked product packs.
std::int64_t dax_floats(int N, int rank) { return round_up(std::int64_t{N} * rank, 16); }

}  // namespace

std::int64_t lora_scratch_size(int N, int C, int OC, int rank) {
  const std::int64_t products =
      std::max({gemm_scratch_size(N, rank, std::max(C, OC)), gemm_scratch_size(OC, rank, N),
                gemm_scratch_size(rank, C, N), gemm_scratch_size(N, C, rank)});
  const std::int64_t forward = std::max(products, std::int64_t{OC} * rank);
  // dax, ax times the scale, and the products' own.
  return std::max(forward, 2 * dax_floats(N, rank) + products);
}

void lora_forward(float* out, float* ax, const float* x, const float* a, const float* b,
                  float* scratch, int N, int C, int OC, int stride, int rank, float scale) {
  multiply_down(ax, x, a, scratch, N, C, rank);
  float* bt = scratch;
  transpose_scaled(bt, b, OC, rank, scale);
  parallel_ranges(N, 1, std::int64_t{OC} * rank / kLanes + 1,
                  [=](std::int64_t first, std::int64_t end) {
                    for (std::int64_t n = first; n < end; ++n) {
                      add_row(out + n * stride, ax + n * rank, bt, OC, rank);
                    }
                  });
}

// dax = scale dY B,  dB += dY^T (scale ax),  dA += dax^T X,  dX += dax A
void lora_backward(float* dx, float* da, float* db, const float* dout, const float* ax,
                   const float* x, const float* a, const float* b, float* scratch, int N, int C,
                   int OC, int stride, int rank, float scale) {
  const std::int64_t values = std::int64_t{N} * rank;
  float* dax = scratch;
  float* scaled_ax = scratch + dax_floats(N, rank);
  float* packed = scaled_ax + dax_floats(N, rank);
  const auto product = [&](MatrixView left, MatrixView right, float* c, std::int64_t rows,
                           std::int64_t columns, std::int64_t depth, bool accumulate) {
    gemm({.a = left,
          .b = right,
          .c = c,
          .gelu = nullptr,
          .bias = nullptr,
          .rows = rows,
          .columns = columns,
          .depth = depth,
          .accumulate = accumulate},
         packed);
  };
  product({dout, stride, 1}, {b, rank, 1}, dax, N, rank, OC, false);
  for (std::int64_t i = 0; i < values; ++i) {
    dax[i] *= scale;
    scaled_ax[i] = scale * ax[i];
  }
  product({dout, 1, stride}, {scaled_ax, rank, 1}, db, OC, rank, N, true);
  product({dax, 1, rank}, {x, C, 1}, da, rank, C, N, true);
  if (dx != nullptr) product({dax, rank, 1}, {a, C, 1}, dx, N, C, rank, true);
}

void lora_merge(float* weight, const float* a, const float* b, int C, int OC, int rank,
                float scale) {
  parallel_ranges(OC, 1, std::int64_t{C} * rank / kLanes + 1,
                  [=](std::int64_t first, std::int64_t end) {
                    for (std::int64_t o = first; o < end; ++o) {
                      float* row = weight + o * C;
                      each_vector(0, C, [=](auto io, std::int64_t c) {
                        Vec sum{};
                        for (std::int64_t r = 0; r < rank; ++r) {
                          sum += broadcast(b[o * rank + r]) * io.load(a + r * C + c);
                        }
                        io.store(row + c, io.load(row + c) + broadcast(scale) * sum);
                      });
                    }
                  });
}

}  // namespace tinygpt::cpu
