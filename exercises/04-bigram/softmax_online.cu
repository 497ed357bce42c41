#include <cstdint>

#include "exercises/04-bigram/softmax.cuh"
#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"  // NotImplemented

// Milakov and Gimelshein: "Online normalizer calculation for softmax" (2018), algorithm 3.

namespace tinygpt::mine_cuda {
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
  return {};
  // end of your code
}

}  // namespace

// out[n, v] = exp(x[n, v]) / sum_w exp(x[n, w]), x read once for the sums and once for the result
//
// Block n has row n. Thread i has values i, i + 256, i + 512, ...: it merges them into one part.
// Then the block merges 256 parts into one, half of them at a time.
__global__ void softmax_online_kernel(float* out, const float* x, int V) {
  // your code on the device: 04.softmax_online_cuda
  // end of your code
}

void softmax_online(float* out, const float* x, int N, int V) {
  if (N == 0 || V == 0) return;
  // your code: 04.softmax_online_cuda
  throw NotImplemented("04.softmax_online_cuda");
  // end of your code
  check_launch("softmax_online");
}

}  // namespace tinygpt::mine_cuda
