#include <cstdint>

#include "solutions/04-bigram/softmax.cuh"
#include "solutions/kernel.cuh"

// Milakov and Gimelshein: "Online normalizer calculation for softmax" (2018), algorithm 3.

namespace tinygpt::ref_cuda {
namespace {

// What is known of a part of a row: its largest value, and the sum of exp(value - largest). Of no
// values at all: -inf and 0.
struct Part {
  float largest, sum;
};

// What is known of two parts together. Each sum was taken with its own largest value: before they
// are added, they must be rescaled to the larger of the two.
__device__ Part merge(Part a, Part b) {
  // your code on the device: 04.softmax_online_cuda
  const float largest = fmaxf(a.largest, b.largest);
  if (largest == -INFINITY) return {largest, 0.0f};  // -inf - -inf would be NaN
  return {largest, a.sum * expf(a.largest - largest) + b.sum * expf(b.largest - largest)};
  // end of your code
}

}  // namespace

// out[n, v] = exp(x[n, v]) / sum_w exp(x[n, w]), x read once for the sums and once for the result
//
// Block n has row n. Thread i has values i, i + 256, i + 512, ...: it merges them into one part.
// Then the block merges 256 parts into one, half of them at a time.
__global__ void softmax_online_kernel(float* out, const float* x, int V) {
  // your code on the device: 04.softmax_online_cuda
  __shared__ float largest[kThreads], sum[kThreads];
  const int i = threadIdx.x;
  const std::int64_t row = std::int64_t{blockIdx.x} * V;
  Part part{-INFINITY, 0.0f};
  for (int v = i; v < V; v += kThreads) part = merge(part, {x[row + v], 1.0f});
  largest[i] = part.largest, sum[i] = part.sum;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();  // the parts that are merged now are all there
    if (i < half) {
      part = merge(part, {largest[i + half], sum[i + half]});
      largest[i] = part.largest, sum[i] = part.sum;
    }
  }
  __syncthreads();  // thread 0 has merged the last two
  for (int v = i; v < V; v += kThreads) {
    out[row + v] = expf(x[row + v] - largest[0]) / sum[0];
  }
  // end of your code
}

void softmax_online(float* out, const float* x, int N, int V) {
  if (N == 0 || V == 0) return;
  // your code: 04.softmax_online_cuda
  softmax_online_kernel<<<N, kThreads>>>(out, x, V);
  // end of your code
  check_launch("softmax_online");
}

}  // namespace tinygpt::ref_cuda
