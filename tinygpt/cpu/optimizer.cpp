// AdamW, gradient norm and clipping: one pass over memory each.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/loops.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

// The norm is summed over blocks of this many values, whatever the number of threads, and the
// blocks' sums are added in order: equal gradients have equal norms on any machine's thread count.
constexpr std::int64_t kNormBlock = 1 << 16;
// Floats that hold one block's sum, which is a double: squares overflow float where norms do not.
constexpr std::int64_t kFloatsPerSum = 2;

// Half as many lanes, so that a vector of doubles is one register too.
constexpr int kHalf = std::max(kLanes / 2, 1);
typedef double DoubleVec __attribute__((vector_size(kHalf * sizeof(double))));
typedef float HalfVec __attribute__((vector_size(kHalf * sizeof(float))));

double sum_of_squares(const float* x, std::int64_t n) {
  constexpr int kSums = 4;  // additions in flight
  DoubleVec sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums * kHalf <= n; i += kSums * kHalf) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) {
      HalfVec part;
      std::memcpy(&part, x + i + s * kHalf, sizeof(part));
      const DoubleVec wide = __builtin_convertvector(part, DoubleVec);
      sums[s] += wide * wide;
    }
  }
  double sum = 0;
  for (; i < n; ++i) sum += double{x[i]} * double{x[i]};
  const DoubleVec all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int lane = 0; lane < kHalf; ++lane) sum += all[lane];
  return sum;
}

// What clipping multiplies gradients by.
float clip_scale(float norm, float max_norm) {
  return !std::isfinite(norm) || norm <= max_norm ? 1.0f : max_norm / norm;
}

// One value's update; the loop around it is vectorised by the compiler, square root included.
void adamw_range(float* __restrict param, float* __restrict m, float* __restrict v,
                 const float* __restrict grad, float grad_scale, std::int64_t n,
                 const AdamwSettings& s) {
  // In double: 1 - beta^step is a small difference at first.
  const auto correction = [&](float beta) {
    return static_cast<float>(1.0 / (1.0 - std::pow(double{beta}, s.step)));
  };
  const float correction1 = correction(s.beta1), correction2 = correction(s.beta2);
  const float beta1 = s.beta1, beta2 = s.beta2, eps = s.eps, lr = s.lr;
  const float decay = 1.0f - s.lr * s.weight_decay;
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = grad_scale * grad[i];
    const float m_i = beta1 * m[i] + (1.0f - beta1) * g;
    const float v_i = beta2 * v[i] + (1.0f - beta2) * g * g;
    m[i] = m_i;
    v[i] = v_i;
    param[i] = decay * param[i] - lr * (m_i * correction1) / (std::sqrt(v_i * correction2) + eps);
  }
}

}  // namespace

void adamw_step(float* param, float* master, float* m, float* v, const float* grad, std::int64_t n,
                const AdamwSettings& settings) {
  adamw_clipped_step(param, master, m, v, grad, nullptr, 0, n, settings);
}

// Gradients that are scaled here and not before are read once less and written once less.
void adamw_clipped_step(float* param, float* /*master: float needs none*/, float* m, float* v,
                        const float* grad, const float* norm, float max_norm, std::int64_t n,
                        const AdamwSettings& settings) {
  check(settings.step >= 1, "adamw: steps count from 1, since step 0 has nothing to correct by");
  const float scale = max_norm > 0 ? clip_scale(norm[0], max_norm) : 1.0f;
  parallel_ranges(n, 16, 3, [=, &settings](std::int64_t begin, std::int64_t end) {
    adamw_range(param + begin, m + begin, v + begin, grad + begin, scale, end - begin, settings);
  });
}

std::int64_t gradient_norm_scratch_size(std::int64_t n) {
  return ceil_div(n, kNormBlock) * kFloatsPerSum;
}

void gradient_norm(float* norm, const float* grad, float* scratch, std::int64_t n) {
  static_assert(sizeof(double) == kFloatsPerSum * sizeof(float));
  const std::int64_t blocks = ceil_div(n, kNormBlock);
  parallel_ranges(blocks, 1, kNormBlock, [=](std::int64_t block, std::int64_t end) {
    for (; block < end; ++block) {
      const std::int64_t at = block * kNormBlock;
      const double sum = sum_of_squares(grad + at, std::min(kNormBlock, n - at));
      std::memcpy(scratch + block * kFloatsPerSum, &sum, sizeof(sum));
    }
  });
  double total = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    double sum;
    std::memcpy(&sum, scratch + block * kFloatsPerSum, sizeof(sum));
    total += sum;
  }
  norm[0] = static_cast<float>(std::sqrt(total));
}

void clip_gradients(float* grad, const float* norm, std::int64_t n, float max_norm) {
  const float scale = clip_scale(norm[0], max_norm);
  if (scale == 1.0f) return;
  parallel_ranges(n, 16, 1, [=](std::int64_t begin, std::int64_t end) {
    each_vector(begin, end,
                [=](auto io, std::int64_t i) { io.store(grad + i, io.load(grad + i) * scale); });
  });
}

}  // namespace tinygpt::cpu
