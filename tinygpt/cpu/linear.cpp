// The linear layer (ops/linear.h) as three matrix products, of floats or of operands rounded to
// bf16. Results are the same bits for any number of threads: no sum is split between threads.
#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/few_rows.h"
#include "tinygpt/cpu/gemm.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vec.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {
namespace {

// dbias[o] (+)= sum_n dout[n, o]: each thread sums its own columns from the first row to the last.
// Four vectors side by side read whole cache lines and keep four additions in flight.
void column_sums(float* dbias, const float* dout, std::int64_t N, std::int64_t OC, bool add) {
  constexpr std::int64_t kColumns = 4 * kLanes;
  parallel_ranges(OC, kColumns, N / 8 + 1, [=](std::int64_t o, std::int64_t end) {
    for (; o + kColumns <= end; o += kColumns) {
      Vec sum[4] = {};
      for (std::int64_t n = 0; n < N; ++n) {
        for (int v = 0; v < 4; ++v) sum[v] += load(dout + n * OC + o + v * kLanes);
      }
      for (int v = 0; v < 4; ++v) {
        float* to = dbias + o + v * kLanes;
        store(to, add ? load(to) + sum[v] : sum[v]);
      }
    }
    for (; o < end; o += kLanes) {
      const std::int64_t lanes = std::min<std::int64_t>(kLanes, end - o);
      Vec sum{};
      for (std::int64_t n = 0; n < N; ++n) sum += load_part(dout + n * OC + o, lanes);
      if (add) sum += load_part(dbias + o, lanes);
      store_part(dbias + o, sum, lanes);
    }
  });
}

Gemm out_product(float* out, const float* x, const float* weight, const float* bias, int N, int C,
                 int OC) {
  return {.a = {x, C, 1},
          .b = {weight, 1, C},
          .c = out,
          .bias = bias,
          .rows = N,
          .columns = OC,
          .depth = C,
          .accumulate = false};
}

Gemm dx_product(float* dx, const float* dout, const float* weight, int N, int C, int OC, bool add) {
  return {.a = {dout, OC, 1},
          .b = {weight, C, 1},
          .c = dx,
          .rows = N,
          .columns = C,
          .depth = OC,
          .accumulate = add};
}

Gemm dweight_product(float* dweight, const float* dout, const float* x, int N, int C, int OC,
                     bool add) {
  return {.a = {dout, 1, OC},
          .b = {x, C, 1},
          .c = dweight,
          .rows = OC,
          .columns = C,
          .depth = N,
          .accumulate = add};
}

void multiply(Gemm product, Rounding rounding, float* scratch) {
  product.rounding = rounding;
  gemm(product, scratch);
}

std::int64_t scratch_size(Rounding rounding, int N, int C, int OC) {
  std::int64_t size = 0;
  for (Gemm product : {out_product(nullptr, nullptr, nullptr, nullptr, N, C, OC),
                       dx_product(nullptr, nullptr, nullptr, N, C, OC, false),
                       dweight_product(nullptr, nullptr, nullptr, N, C, OC, false)}) {
    product.rounding = rounding;
    size = std::max(size, gemm_scratch_size(product));
  }
  return size;
}

// out = x W^T + b  gives  dX += dY W,  dW += dY^T X,  db += column sums of dY.
void backward(Rounding rounding, float* dx, float* dweight, float* dbias, const float* dout,
              const float* x, const float* weight, float* scratch, int N, int C, int OC) {
  if (dx != nullptr) multiply(dx_product(dx, dout, weight, N, C, OC, true), rounding, scratch);
  if (dweight != nullptr) {
    multiply(dweight_product(dweight, dout, x, N, C, OC, true), rounding, scratch);
  }
  if (dbias != nullptr) column_sums(dbias, dout, N, OC, true);
}

// x = gelu(pre)  gives  dpre = dX gelu'(pre).
void backward_write(Rounding rounding, float* dx, float* dweight, float* dbias, const float* dout,
                    const float* x, const float* pre, const float* weight, float* scratch, int N,
                    int C, int OC, bool add_to_weights) {
  if (dx != nullptr) {
    Gemm product = dx_product(dx, dout, weight, N, C, OC, false);
    product.slope_of = pre;
    multiply(product, rounding, scratch);
  }
  if (dweight != nullptr) {
    multiply(dweight_product(dweight, dout, x, N, C, OC, add_to_weights), rounding, scratch);
  }
  if (dbias != nullptr) column_sums(dbias, dout, N, OC, add_to_weights);
}

}  // namespace

std::int64_t linear_scratch_size(int N, int C, int OC) {
  return scratch_size(Rounding::none, N, C, OC);
}

void linear_forward(float* out, const float* x, const float* weight, const float* bias,
                    float* scratch, int N, int C, int OC) {
  if (N <= kFewRows) {
    linear_forward_few_rows(out, x, weight, bias, N, C, OC);
    return;
  }
  gemm(out_product(out, x, weight, bias, N, C, OC), scratch);
}

void linear_gelu_forward(float* out, float* pre, const float* x, const float* weight,
                         const float* bias, float* scratch, int N, int C, int OC) {
  if (N <= kFewRows) {
    linear_forward_few_rows(pre, x, weight, bias, N, C, OC);
    gelu_forward_range(out, pre, std::int64_t{N} * OC);
    return;
  }
  Gemm product = out_product(pre, x, weight, bias, N, C, OC);
  product.gelu = out;
  gemm(product, scratch);
}

void linear_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                     const float* weight, float* scratch, int N, int C, int OC) {
  backward(Rounding::none, dx, dweight, dbias, dout, x, weight, scratch, N, C, OC);
}

void linear_backward_write(float* dx, float* dweight, float* dbias, const float* dout,
                           const float* x, const float* pre, const float* weight, float* scratch,
                           int N, int C, int OC, bool add_to_weights) {
  backward_write(Rounding::none, dx, dweight, dbias, dout, x, pre, weight, scratch, N, C, OC,
                 add_to_weights);
}

namespace bf16_products {

std::int64_t linear_scratch_size(int N, int C, int OC) {
  return scratch_size(Rounding::bf16, N, C, OC);
}

void linear_forward(float* out, const float* x, const float* weight, const float* bias,
                    float* scratch, int N, int C, int OC) {
  multiply(out_product(out, x, weight, bias, N, C, OC), Rounding::bf16, scratch);
}

void linear_gelu_forward(float* out, float* pre, const float* x, const float* weight,
                         const float* bias, float* scratch, int N, int C, int OC) {
  Gemm product = out_product(pre, x, weight, bias, N, C, OC);
  product.gelu = out;
  multiply(product, Rounding::bf16, scratch);
}

void linear_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                     const float* weight, float* scratch, int N, int C, int OC) {
  backward(Rounding::bf16, dx, dweight, dbias, dout, x, weight, scratch, N, C, OC);
}

void linear_backward_write(float* dx, float* dweight, float* dbias, const float* dout,
                           const float* x, const float* pre, const float* weight, float* scratch,
                           int N, int C, int OC, bool add_to_weights) {
  backward_write(Rounding::bf16, dx, dweight, dbias, dout, x, pre, weight, scratch, N, C, OC,
                 add_to_weights);
}

}  // namespace bf16_products
}  // namespace tinygpt::cpu
