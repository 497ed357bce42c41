#include "exercises/04-bigram/softmax.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/cross_entropy.h"
#include "tinygpt/ops/softmax.h"
#include "tinygpt/core/error.h"  // NotImplemented

// All of these give one block to a row: thread i has values i, i + 256, i + 512, ..., so that a
// warp reads 32 neighbours at a time, and what the whole row decides is a reduction over the block.

namespace tinygpt::mine_cuda {
namespace {

// The largest of a row, to all threads of the block. (block_max: the largest of one value of each
// thread, to all of them.)
template <class Real>
__device__ float row_max(const Real* x_n, int V) {
  // your code on the device: 04.softmax_forward_cuda
  return {};
  // end of your code
}

// sum_v exp(x[v] - largest), to all threads of the block.
template <class Real>
__device__ float row_exp_sum(const Real* x_n, float largest, int V) {
  // your code on the device: 04.softmax_forward_cuda
  return {};
  // end of your code
}

}  // namespace

// out[n, v] = exp(x[n, v]) / sum_w exp(x[n, w]): block n has row n. to_float reads any Real as
// float, store(to, value) writes it.
template <class Real>
__global__ void softmax_forward_kernel(Real* out, const Real* x, int V) {
  // your code on the device: 04.softmax_forward_cuda
  // end of your code
}

template <class Real>
void softmax_forward(Real* out, const Real* x, int N, int V) {
  if (N == 0 || V == 0) return;
  // your code: 04.softmax_forward_cuda
  throw NotImplemented("04.softmax_forward_cuda");
  // end of your code
  check_launch("softmax_forward");
}

// Differentiates out[v] = exp(x[v]) / sum_w exp(x[w]). Raising x[v] raises out[v], but it also
// raises the sum that all of them are divided by: hence the second term, the same for every v.
template <class Real>
__global__ void softmax_backward_kernel(Real* dx, const Real* dout, const Real* out, int V) {
  const std::int64_t row = std::int64_t{blockIdx.x} * V;
  float dot = 0.0f;
  for (int v = threadIdx.x; v < V; v += blockDim.x) {
    dot += to_float(out[row + v]) * to_float(dout[row + v]);
  }
  dot = block_sum(dot);
  for (int v = threadIdx.x; v < V; v += blockDim.x) {
    add(dx + row + v, to_float(out[row + v]) * (to_float(dout[row + v]) - dot));
  }
}

template <class Real>
void softmax_backward(Real* dx, const Real* dout, const Real* out, int N, int V) {
  if (N == 0 || V == 0) return;
  softmax_backward_kernel<<<N, kThreads>>>(dx, dout, out, V);
  check_launch("softmax_backward");
}

// losses[n] = lse[n] - logits[n, targets[n]],  lse[n] = log sum_v exp(logits[n, v])
template <class Real>
__global__ void cross_entropy_forward_kernel(float* losses, float* lse, const Real* logits,
                                             const int* targets, int V) {
  const int n = blockIdx.x;
  const Real* logits_n = logits + std::int64_t{n} * V;
  const float largest = row_max(logits_n, V);
  const float log_sum = logf(row_exp_sum(logits_n, largest, V));
  if (threadIdx.x > 0) return;
  const int target = targets[n];
  lse[n] = largest + log_sum;
  // Taken from the largest first: large logits that nearly cancel must not lose their digits.
  losses[n] = target == kIgnoreTarget ? 0.0f : log_sum - (to_float(logits_n[target]) - largest);
}

template <class Real>
void cross_entropy_forward(float* losses, float* lse, const Real* logits, const int* targets, int N,
                           int V) {
  if (N == 0) return;
  cross_entropy_forward_kernel<<<N, kThreads>>>(losses, lse, logits, targets, V);
  check_launch("cross_entropy_forward");
}

// Differentiates losses[n] = lse[n] - logits[n, target]. The first term's derivative by logits[v]
// is the probability of v, the second's is 1 at the target: what the model said minus what was
// right.
template <class Real>
__global__ void softmax_cross_entropy_backward_kernel(Real* dlogits, const Real* logits,
                                                      const float* lse, const int* targets, int V,
                                                      float scale) {
  const bool in_place = dlogits == logits;
  const int n = blockIdx.x;
  const int target = targets[n];
  for (int v = threadIdx.x; v < V; v += blockDim.x) {
    const std::int64_t i = std::int64_t{n} * V + v;
    const float probability = expf(to_float(logits[i]) - lse[n]);
    const float wanted = v == target ? 1.0f : 0.0f;
    const float d = target == kIgnoreTarget ? 0.0f : scale * (probability - wanted);
    store(dlogits + i, in_place ? d : to_float(dlogits[i]) + d);
  }
}

template <class Real>
void softmax_cross_entropy_backward(Real* dlogits, const Real* logits, const float* lse,
                                    const int* targets, int N, int V, float scale) {
  if (N == 0 || V == 0) return;
  softmax_cross_entropy_backward_kernel<<<N, kThreads>>>(dlogits, logits, lse, targets, V, scale);
  check_launch("softmax_cross_entropy_backward");
}

template SoftmaxForward<float> softmax_forward<float>;
template SoftmaxForward<Bfloat16> softmax_forward<Bfloat16>;
template SoftmaxBackward<float> softmax_backward<float>;
template SoftmaxBackward<Bfloat16> softmax_backward<Bfloat16>;
template CrossEntropyForward<float> cross_entropy_forward<float>;
template CrossEntropyForward<Bfloat16> cross_entropy_forward<Bfloat16>;
template SoftmaxCrossEntropyBackward<float> softmax_cross_entropy_backward<float>;
template SoftmaxCrossEntropyBackward<Bfloat16> softmax_cross_entropy_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
