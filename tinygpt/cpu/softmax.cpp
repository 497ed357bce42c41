// Softmax and cross-entropy: one row at a time, three passes over it while it is in the cache.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float row_max(const float* x, int V) {
  Vec best = broadcast(-kInfinity);
  each_vector(0, V, [&](auto io, std::int64_t v) {
    best = max(io.or_else(io.load(x + v), -kInfinity), best);
  });
  return max_lanes(best);
}

float row_sum_exp(const float* x, float shift, int V) {
  Vec sum{};
  each_vector(
      0, V, [&](auto io, std::int64_t v) { sum += io.or_else(exp(io.load(x + v) - shift), 0.0f); });
  return sum_lanes(sum);
}

}  // namespace

void softmax_forward(float* out, const float* x, int N, int V) {
  parallel_ranges(N, 1, std::int64_t{V} * 4, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      const float* x_n = x + n * V;
      float* out_n = out + n * V;
      const float largest = row_max(x_n, V);
      Vec sum{};
      each_vector(0, V, [&](auto io, std::int64_t v) {
        const Vec e = exp(io.load(x_n + v) - largest);
        io.store(out_n + v, e);
        sum += io.or_else(e, 0.0f);
      });
      const float scale = 1.0f / sum_lanes(sum);
      each_vector(
          0, V, [=](auto io, std::int64_t v) { io.store(out_n + v, io.load(out_n + v) * scale); });
    }
  });
}

// out_i = e^x_i / sum e^x  gives  dx_i = out_i (dout_i - sum_w out_w dout_w).
void softmax_backward(float* dx, const float* dout, const float* out, int N, int V) {
  parallel_ranges(N, 1, std::int64_t{V} * 2, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      const float* out_n = out + n * V;
      const float* dout_n = dout + n * V;
      float* dx_n = dx + n * V;
      Vec sum{};
      each_vector(
          0, V, [&](auto io, std::int64_t v) { sum += io.load(out_n + v) * io.load(dout_n + v); });
      const float dot = sum_lanes(sum);
      each_vector(0, V, [=](auto io, std::int64_t v) {
        io.store(dx_n + v, io.load(dx_n + v) + io.load(out_n + v) * (io.load(dout_n + v) - dot));
      });
    }
  });
}

void cross_entropy_forward(float* losses, float* lse, const float* logits, const int* targets,
                           int N, int V) {
  parallel_ranges(N, 1, std::int64_t{V} * 4, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      const float* logits_n = logits + n * V;
      const float largest = row_max(logits_n, V);
      lse[n] = largest + std::log(row_sum_exp(logits_n, largest, V));
      losses[n] = targets[n] == kIgnoreTarget ? 0.0f : lse[n] - logits_n[targets[n]];
    }
  });
}

// losses[n] = lse[n] - logits[n, target]: the first term's gradient is softmax, the second's -1.
void softmax_cross_entropy_backward(float* dlogits, const float* logits, const float* lse,
                                    const int* targets, int N, int V, float scale) {
  const bool replace = dlogits == logits;
  parallel_ranges(N, 1, std::int64_t{V} * 4, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      const float* logits_n = logits + n * V;
      float* dlogits_n = dlogits + n * V;
      const bool ignored = targets[n] == kIgnoreTarget;
      if (ignored && !replace) continue;
      const float lse_n = lse[n], scale_n = ignored ? 0.0f : scale;
      // softmax - 1 at the target is a difference of near-equal numbers for a sure model:
      // taken before the row is scaled, as the contract writes it.
      const float at_target = ignored ? 0.0f
                                      : scale * (std::exp(logits_n[targets[n]] - lse_n) - 1.0f) +
                                            (replace ? 0.0f : dlogits_n[targets[n]]);
      each_vector(0, V, [=](auto io, std::int64_t v) {
        const Vec p = ignored ? Vec{} : exp(io.load(logits_n + v) - lse_n);
        const Vec before = replace ? Vec{} : io.load(dlogits_n + v);
        io.store(dlogits_n + v, before + scale_n * p);
      });
      if (!ignored) dlogits_n[targets[n]] = at_target;
    }
  });
}

}  // namespace tinygpt::cpu
