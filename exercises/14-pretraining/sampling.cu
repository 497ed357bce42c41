#include "exercises/14-pretraining/sampling.cuh"

#include <climits>
#include <cmath>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/sampling.h"
#include "tinygpt/core/error.h"  // NotImplemented

// All of these are the work of one block: thread i has values i, i + 256, ..., so that a warp reads
// 32 neighbours. The 256 values that the block reads at once are a tile.

namespace tinygpt::mine_cuda {
namespace {

// For block_reduce, beside Sum and Max: the smallest place of all threads, and the largest. Whoever
// has no place gives one that loses.
struct Min {
  __device__ static int combine(int a, int b) { return a < b ? a : b; }
  template <class T>
  __device__ static T none() {
    return INT_MAX;
  }
};

struct Last {
  __device__ static int combine(int a, int b) { return a > b ? a : b; }
  template <class T>
  __device__ static T none() {
    return -1;
  }
};

// Whether a logit is NaN, to all threads.
template <class Real>
__device__ bool any_nan(const Real* logits, int V) {
  bool found = false;
  for (int v = threadIdx.x; v < V; v += blockDim.x) found |= isnan(to_float(logits[v]));
  return __syncthreads_or(found);
}

// The place of the largest logit, to all threads; of equals, the first. Where all are minus
// infinity, any place of them.
//
// Each thread finds the best of its own values. Then a reduction by halves: thread i looks at what
// thread i + half has found. A place beats another one by a larger logit, or by an equal one
// further in front.
template <class Real>
__device__ int first_largest(const Real* logits, int V) {
  // your code on the device: 14.argmax_cuda
  return {};
  // end of your code
}

// value of thread 0 + ... + value of thread i, to thread i: an inclusive scan of the block.
//
// Every thread adds what stands 1 in front of it, then 2, then 4, ...: after a step with distance d
// it has the sum of 2 d values, its own the last. All threads call it together, tile after tile.
// Hillis, Steele: "Data Parallel Algorithms" (1986), "Sum of an array".
__device__ double block_scan(double value) {
  // your code on the device: 14.scan_cuda
  return {};
  // end of your code
}

// exp((logit - largest) / temperature): the probability before it is divided by the sum.
__device__ float weight(float logit, float largest, float temperature) {
  // your code on the device: 14.sample_cuda
  return {};
  // end of your code
}

}  // namespace

// One block. The place first, then its logit: minus infinity, infinity or NaN say that no token can
// be had.
template <class Real>
__global__ void argmax_kernel(int* token, const Real* logits, int V) {
  const int place = first_largest(logits, V);
  const bool broken = any_nan(logits, V);
  if (threadIdx.x == 0) *token = broken || !isfinite(to_float(logits[place])) ? -1 : place;
}

template <class Real>
void argmax(int* token, const Real* logits, int V) {
  // your code: 14.argmax_cuda
  throw NotImplemented("14.argmax_cuda");
  // end of your code
  check_launch("argmax");
}

// One block, tile by tile: what came before this tile, and a scan inside it.
__global__ void cumulative_sum_kernel(float* out, const float* in, int n) {
  double before = 0.0;
  for (int first = 0; first < n; first += kThreads) {
    const int i = first + threadIdx.x;
    const double value = i < n ? in[i] : 0.0f;
    const double sum = before + block_scan(value);
    if (i < n) out[i] = static_cast<float>(sum);
    before += block_sum(value);
  }
}

void cumulative_sum(float* out, const float* in, int n) {
  if (n == 0) return;
  // your code: 14.scan_cuda
  throw NotImplemented("14.scan_cuda");
  // end of your code
  check_launch("cumulative_sum");
}

// token = the smallest v with weight[0] + ... + weight[v] > u * (the sum of all weights)
//
// One block. First the sum of all tiles, then again up to the tile in which u * sum is passed, and
// only that one is scanned. Both times the same tiles are added in the same order: so the sum is
// passed, rounding or not. Inside the tile the scan adds in another order; where that falls short,
// the last token with a weight is the one. All threads go through the loops together, since all
// must come to the barriers inside of block_sum and block_scan.
template <class Real>
__global__ void sample_kernel(int* token, const Real* logits, int V, float temperature, double u) {
  float highest = -INFINITY;
  for (int v = threadIdx.x; v < V; v += kThreads) highest = fmaxf(highest, to_float(logits[v]));
  const float largest = block_max(highest);
  if (any_nan(logits, V) || !isfinite(largest)) {
    if (threadIdx.x == 0) *token = -1;
    return;  // all threads: the condition is the same for all
  }
  // The weight of this thread's token in the tile that starts at `first`; 0 behind the last token.
  const auto weight_in = [&](int first) -> double {
    const int v = first + static_cast<int>(threadIdx.x);
    return v < V ? weight(to_float(logits[v]), largest, temperature) : 0.0f;
  };
  // your code on the device: 14.sample_cuda
  // end of your code
}

template <class Real>
void sample(int* token, const Real* logits, int V, float temperature, double u) {
  // your code: 14.sample_cuda
  throw NotImplemented("14.sample_cuda");
  // end of your code
  check_launch("sample");
}

template <class Real>
void sample_token(int* token, const Real* logits, int V, float temperature, double u) {
  check(V >= 1 && temperature >= 0.0f,
        "sample_token: V must be at least 1 and temperature at least 0");
  if (temperature == 0.0f) argmax(token, logits, V);
  else sample(token, logits, V, temperature, u);
}

template SampleToken<float> sample_token<float>;
template SampleToken<Bfloat16> sample_token<Bfloat16>;
template void argmax<float>(int*, const float*, int);
template void sample<float>(int*, const float*, int, float, double);

}  // namespace tinygpt::mine_cuda
