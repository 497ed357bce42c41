// Softmax and cross-entropy over a vocabulary. The V-wide probabilities are never stored: forward
// reads the logits once, backward once more, and puts their gradient in their place.
#include <cstdint>

#include "solutions/04-bigram/softmax.cuh"
#include "solutions/kernel.cuh"
#include "tinygpt/cuda/packs.cuh"
#include "tinygpt/cuda/rows.cuh"
#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt::cuda {
namespace {

constexpr int kRowThreads = 512;  // of a block, which has one row

// What to subtract before exp, where this is the largest of some values: not -infinity from
// -infinity, which is NaN.
__device__ float origin_of(float largest) { return largest == -INFINITY ? 0.0f : largest; }

}  // namespace

// Milakov and Gimelshein: "Online normalizer calculation for softmax" (2018): the largest so far
// stands in for the largest of all, and a thread's sum shrinks when it finds a larger one. So one
// pass is enough where the reference takes two.
template <class Real>
__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_forward_kernel(float* losses, float* lse, const Real* logits, const int* targets,
                                 int V) {
  const std::int64_t n = blockIdx.x;
  const Real* row = logits + n * V;
  float largest = -INFINITY, sum = 0.0f;
  visit_row(row, V, [&]<int kCount>(int v) {
    float values[kCount];
    load_pack(values, row + v);
    float now = largest;
#pragma unroll
    for (int i = 0; i < kCount; ++i) now = fmaxf(now, values[i]);
    const float origin = origin_of(now);
    sum *= expf(largest - origin);
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum += expf(values[i] - origin);
    largest = now;
  });
  const float all = ref_cuda::block_max(largest);
  const float total = ref_cuda::block_sum(sum * expf(largest - origin_of(all)));
  if (threadIdx.x > 0) return;
  const float log_sum = logf(total);
  const int target = targets[n];
  lse[n] = all + log_sum;
  // Taken from the largest first: large logits that nearly cancel must not lose their digits.
  losses[n] = target == kIgnoreTarget ? 0.0f : log_sum - (to_float(row[target]) - all);
}

template <class Real>
void cross_entropy_forward(float* losses, float* lse, const Real* logits, const int* targets, int N,
                           int V) {
  if (N == 0) return;
  cross_entropy_forward_kernel<<<N, kRowThreads>>>(losses, lse, logits, targets, V);
  ref_cuda::check_launch("cross_entropy_forward");
}

// d losses[n] / d logits[n, v] = softmax(logits[n])[v] - (v == targets[n])
template <class Real>
__global__ void __launch_bounds__(kRowThreads)
    softmax_cross_entropy_backward_kernel(Real* logits, const float* lse, const int* targets, int V,
                                          float scale) {
  const std::int64_t n = blockIdx.x;
  Real* row = logits + n * V;
  const int target = targets[n];
  const float of_lse = lse[n];
  visit_row(row, V, [&]<int kCount>(int v) {
    float values[kCount];
    load_pack(values, row + v);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float probability = expf(values[i] - of_lse), wanted = v + i == target ? 1.0f : 0.0f;
      values[i] = target == kIgnoreTarget ? 0.0f : scale * (probability - wanted);
    }
    store_pack(row + v, values);
  });
}

template <class Real>
void softmax_cross_entropy_backward(Real* dlogits, const Real* logits, const float* lse,
                                    const int* targets, int N, int V, float scale) {
  if (N == 0 || V == 0) return;
  if (dlogits != logits) {  // no model asks for that
    ref_cuda::softmax_cross_entropy_backward(dlogits, logits, lse, targets, N, V, scale);
    return;
  }
  softmax_cross_entropy_backward_kernel<<<N, kRowThreads>>>(dlogits, lse, targets, V, scale);
  ref_cuda::check_launch("softmax_cross_entropy_backward");
}

template CrossEntropyForward<float> cross_entropy_forward<float>;
template CrossEntropyForward<Bfloat16> cross_entropy_forward<Bfloat16>;
template SoftmaxCrossEntropyBackward<float> softmax_cross_entropy_backward<float>;
template SoftmaxCrossEntropyBackward<Bfloat16> softmax_cross_entropy_backward<Bfloat16>;

}  // namespace tinygpt::cuda
