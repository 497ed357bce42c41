#include "solutions/14-pretraining/sampling.cuh"

#include <climits>
#include <cmath>

#include "solutions/kernel.cuh"
#include "tinygpt/ops/sampling.h"

namespace tinygpt::ref_cuda {
namespace {

struct Min {
  __device__ static int combine(int a, int b) { return a < b ? a : b; }
  template <class T>
  __device__ static T none() {
    return INT_MAX;
  }
};

// sum of exp((logits[v] - largest) / temperature) over v < count, to all threads. The sum never
// falls as count grows, rounding included: the same values are added in the same order, with zeros
// in place of those that are missing.
template <class Real>
__device__ double weight_sum(const Real* logits, int count, float largest, float temperature) {
  double sum = 0.0;
  for (int v = threadIdx.x; v < count; v += blockDim.x) {
    sum += expf((to_float(logits[v]) - largest) / temperature);
  }
  return block_sum(sum);
}

}  // namespace

// token = the smallest v with p[0] + ... + p[v] > u
//
// One block for all of it: thread i has tokens i, i + 256, ..., so that a warp reads 32 neighbours.
// Sums up to a place are cheap for a block, and they only grow: the place where they pass u is
// found by halving, in 16 steps for 50,000 tokens.
template <class Real>
__global__ void sample_token_kernel(int* token, const Real* logits, int V, float temperature,
                                    double u) {
  float highest = -INFINITY;
  bool has_nan = false;
  for (int v = threadIdx.x; v < V; v += blockDim.x) {
    highest = fmaxf(highest, to_float(logits[v]));
    has_nan |= isnan(to_float(logits[v]));
  }
  const float largest = block_max(highest);
  if (__syncthreads_or(has_nan) || !isfinite(largest)) {
    if (threadIdx.x == 0) *token = -1;
    return;  // all threads: the condition is the same for all
  }
  int low = 0, high = V - 1;  // the token is one of these
  if (temperature == 0.0f) {
    int first = V;
    for (int v = threadIdx.x; v < V; v += blockDim.x) {
      if (to_float(logits[v]) == largest) first = Min::combine(first, v);
    }
    low = high = block_reduce<Min>(first);
  } else {
    const double total = weight_sum(logits, V, largest, temperature);
    const double wanted = fmin(u * total, nextafter(total, 0.0));  // the product may be rounded up
    while (low < high) {
      const int middle = low + (high - low) / 2;
      if (weight_sum(logits, middle + 1, largest, temperature) > wanted) high = middle;
      else low = middle + 1;
    }
  }
  if (threadIdx.x == 0) *token = low;
}

template <class Real>
void sample_token(int* token, const Real* logits, int V, float temperature, double u) {
  check(V >= 1 && temperature >= 0.0f,
        "sample_token: V must be at least 1 and temperature at least 0");
  sample_token_kernel<<<1, kThreads>>>(token, logits, V, temperature, u);
  check_launch("sample_token");
}

template SampleToken<float> sample_token<float>;
template SampleToken<Bfloat16> sample_token<Bfloat16>;

}  // namespace tinygpt::ref_cuda
