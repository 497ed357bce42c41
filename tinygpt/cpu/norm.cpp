// LayerNorm and RMSNorm, forward, backward and fused with the residual sum before them.
//
// In the backward pass the gradients of weight and bias are sums over all rows. The rows are cut
// into chunks whose number depends on N alone; each chunk has its own partial sums, which are
// added in order at the end: the same bits for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/loops.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

constexpr std::int64_t kChunks = 32;
constexpr std::int64_t kLeastChunkRows = 8;

std::int64_t chunk_rows(std::int64_t N) { return std::max(ceil_div(N, kChunks), kLeastChunkRows); }

float row_sum(const float* x, int C) {
  Vec sum{};
  each_vector(0, C, [&](auto io, std::int64_t c) { sum += io.load(x + c); });
  return sum_lanes(sum);
}

float row_sum_squares(const float* x, float mean, int C) {
  Vec sum{};
  each_vector(0, C, [&](auto io, std::int64_t c) {
    const Vec d = io.or_else(io.load(x + c) - mean, 0.0f);
    sum += d * d;
  });
  return sum_lanes(sum);
}

void add_rows(float* sum, const float* a, const float* b, int C) {
  each_vector(0, C,
              [=](auto io, std::int64_t c) { io.store(sum + c, io.load(a + c) + io.load(b + c)); });
}

// The mean first and the deviations from it afterwards: sum x^2 - mean^2 would cancel.
void layernorm_row(float* out, float* mean, float* rstd, const float* x, const float* weight,
                   const float* bias, int C, float eps) {
  const float m = row_sum(x, C) / static_cast<float>(C);
  const float variance = row_sum_squares(x, m, C) / static_cast<float>(C);
  const float s = 1.0f / std::sqrt(variance + eps);
  each_vector(0, C, [=](auto io, std::int64_t c) {
    const Vec scaled = (io.load(x + c) - m) * s * io.load(weight + c);
    io.store(out + c, bias != nullptr ? scaled + io.load(bias + c) : scaled);
  });
  *mean = m;
  *rstd = s;
}

void rmsnorm_row(float* out, float* rstd, const float* x, const float* weight, int C, float eps) {
  const float s = 1.0f / std::sqrt(row_sum_squares(x, 0.0f, C) / static_cast<float>(C) + eps);
  each_vector(0, C, [=](auto io, std::int64_t c) {
    io.store(out + c, io.load(x + c) * s * io.load(weight + c));
  });
  *rstd = s;
}

// out = xhat * weight + bias with xhat = (x - mean) * rstd; dweight and dbias are partial sums.
void layernorm_backward_row(float* dx, float* dweight, float* dbias, const float* dout,
                            const float* x, const float* weight, float mean, float rstd, int C) {
  Vec sum_g{}, sum_gx{};
  each_vector(0, C, [&](auto io, std::int64_t c) {
    const Vec d = io.load(dout + c), xhat = (io.load(x + c) - mean) * rstd;
    const Vec g = d * io.load(weight + c);
    sum_g += g;
    sum_gx += g * xhat;
    io.store(dweight + c, io.load(dweight + c) + d * xhat);
    io.store(dbias + c, io.load(dbias + c) + d);
  });
  const float mean_g = sum_lanes(sum_g) / static_cast<float>(C);
  const float mean_gx = sum_lanes(sum_gx) / static_cast<float>(C);
  each_vector(0, C, [=](auto io, std::int64_t c) {
    const Vec g = io.load(dout + c) * io.load(weight + c);
    const Vec xhat = (io.load(x + c) - mean) * rstd;
    io.store(dx + c, io.load(dx + c) + rstd * (g - mean_g - xhat * mean_gx));
  });
}

// out = x * rstd * weight
void rmsnorm_backward_row(float* dx, float* dweight, const float* dout, const float* x,
                          const float* weight, float rstd, int C) {
  Vec sum_gx{};
  each_vector(0, C, [&](auto io, std::int64_t c) {
    const Vec d = io.load(dout + c), xhat = io.load(x + c) * rstd;
    sum_gx += d * io.load(weight + c) * xhat;
    io.store(dweight + c, io.load(dweight + c) + d * xhat);
  });
  const float mean_gx = sum_lanes(sum_gx) / static_cast<float>(C);
  each_vector(0, C, [=](auto io, std::int64_t c) {
    const Vec g = io.load(dout + c) * io.load(weight + c);
    const Vec xhat = io.load(x + c) * rstd;
    io.store(dx + c, io.load(dx + c) + rstd * (g - xhat * mean_gx));
  });
}

// total[c] += partial sums of the chunks, in their order.
void add_partials(float* total, const float* partials, std::int64_t chunks, std::int64_t step,
                  std::int64_t C) {
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    each_vector(0, C, [=](auto io, std::int64_t c) {
      io.store(total + c, io.load(total + c) + io.load(partials + chunk * step + c));
    });
  }
}

}  // namespace

std::int64_t layernorm_scratch_size(int N, int C) { return ceil_div(N, chunk_rows(N)) * 2 * C; }

std::int64_t rmsnorm_scratch_size(int N, int C) { return ceil_div(N, chunk_rows(N)) * C; }

void layernorm_forward(float* out, float* mean, float* rstd, const float* x, const float* weight,
                       const float* bias, int N, int C, float eps) {
  parallel_ranges(N, 1, std::int64_t{C} * 2, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      layernorm_row(out + n * C, mean + n, rstd + n, x + n * C, weight, bias, C, eps);
    }
  });
}

void residual_layernorm_forward(float* out, float* sum, float* mean, float* rstd, const float* a,
                                const float* b, const float* weight, const float* bias, int N,
                                int C, float eps) {
  parallel_ranges(N, 1, std::int64_t{C} * 3, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      add_rows(sum + n * C, a + n * C, b + n * C, C);
      layernorm_row(out + n * C, mean + n, rstd + n, sum + n * C, weight, bias, C, eps);
    }
  });
}

void layernorm_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                        const float* weight, const float* mean, const float* rstd, float* scratch,
                        int N, int C) {
  const std::int64_t rows = chunk_rows(N), chunks = ceil_div(N, rows);
  parallel_tasks(chunks, rows * C * 3, [=](std::int64_t chunk) {
    float* partial = scratch + chunk * 2 * C;
    std::fill_n(partial, 2 * C, 0.0f);
    const std::int64_t end = std::min<std::int64_t>((chunk + 1) * rows, N);
    for (std::int64_t n = chunk * rows; n < end; ++n) {
      layernorm_backward_row(dx + n * C, partial, partial + C, dout + n * C, x + n * C, weight,
                             mean[n], rstd[n], C);
    }
  });
  add_partials(dweight, scratch, chunks, 2 * C, C);
  if (dbias != nullptr) add_partials(dbias, scratch + C, chunks, 2 * C, C);
}

void rmsnorm_forward(float* out, float* rstd, const float* x, const float* weight, int N, int C,
                     float eps) {
  parallel_ranges(N, 1, std::int64_t{C} * 2, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) rmsnorm_row(out + n * C, rstd + n, x + n * C, weight, C, eps);
  });
}

void residual_rmsnorm_forward(float* out, float* sum, float* rstd, const float* a, const float* b,
                              const float* weight, int N, int C, float eps) {
  parallel_ranges(N, 1, std::int64_t{C} * 3, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      add_rows(sum + n * C, a + n * C, b + n * C, C);
      rmsnorm_row(out + n * C, rstd + n, sum + n * C, weight, C, eps);
    }
  });
}

void rmsnorm_backward(float* dx, float* dweight, const float* dout, const float* x,
                      const float* weight, const float* rstd, float* scratch, int N, int C) {
  const std::int64_t rows = chunk_rows(N), chunks = ceil_div(N, rows);
  parallel_tasks(chunks, rows * C * 3, [=](std::int64_t chunk) {
    float* partial = scratch + chunk * C;
    std::fill_n(partial, C, 0.0f);
    const std::int64_t end = std::min<std::int64_t>((chunk + 1) * rows, N);
    for (std::int64_t n = chunk * rows; n < end; ++n) {
      rmsnorm_backward_row(dx + n * C, partial, dout + n * C, x + n * C, weight, rstd[n], C);
    }
  });
  add_partials(dweight, scratch, chunks, C, C);
}

}  // namespace tinygpt::cpu
