#include "exercises/07-self-attention/self_attention.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"  // NotImplemented

// Attention as three kernels. Each writes one matrix to memory, and the next one reads it back.

namespace tinygpt::mine_cuda {
namespace {

constexpr int kTile = 64;  // values of c that a block of weighted_sum has, and weights at a time

// Blocks of kThreads threads that hold so many warps.
unsigned blocks_for_warps(std::int64_t warps) {
  return static_cast<unsigned>(ceil_div(warps * kWarp, kThreads));
}

}  // namespace

// scores[t, u] = (q[t] . k[u]) / sqrt(HS)
//
// One warp for each score. Lane i has values d = i, i + 32, ... of both rows, so that a warp reads
// 32 neighbours; warp_sum gives the sum of one value of each lane to all of them.
__global__ void attention_scores_kernel(float* scores, const float* q, const float* k, int T,
                                        int HS) {
  // your code on the device: 07.attention_scores_cuda
  // end of your code
}

void attention_scores(float* scores, const float* q, const float* k, int T, int HS) {
  if (T == 0) return;
  // your code: 07.attention_scores_cuda
  throw NotImplemented("07.attention_scores_cuda");
  // end of your code
  check_launch("attention_scores");
}

// p[t, u] = exp(scores[t, u]) / sum_w exp(scores[t, w]), over those keys only that query t may look
// at: mask[t, u] is not 0, or mask is nullptr. Elsewhere p is 0.
//
// One warp for each row: lane i has keys i, i + 32, ... Where lesson 04 gave a block to a row, a
// warp is enough for rows that are seldom longer than a thousand, and it needs no barrier.
// warp_reduce<Max> gives the largest of one value of each lane to all of them.
__global__ void masked_softmax_kernel(float* p, const float* scores, const int* mask, int T) {
  // your code on the device: 07.masked_softmax_cuda
  // end of your code
}

void masked_softmax(float* p, const float* scores, const int* mask, int T) {
  if (T == 0) return;
  // your code: 07.masked_softmax_cuda
  throw NotImplemented("07.masked_softmax_cuda");
  // end of your code
  check_launch("masked_softmax");
}

// out[t, c] = sum_u weights[t, u] * x[u, c]
//
// Block (t, j) has row t of out and kTile of its columns, one thread for each: c = j * kTile +
// threadIdx.x, so that a warp reads 32 neighbours of x. All of these threads need the same weights.
// They load kTile of them into shared memory together, one each, use them, and load the next.
__global__ void weighted_sum_kernel(float* out, const float* weights, const float* x, int T,
                                    int C) {
  __shared__ float tile[kTile];
  // your code on the device: 07.weighted_sum_cuda
  // end of your code
}

void weighted_sum(float* out, const float* weights, const float* x, int T, int C) {
  if (T == 0 || C == 0) return;
  // your code: 07.weighted_sum_cuda
  throw NotImplemented("07.weighted_sum_cuda");
  // end of your code
  check_launch("weighted_sum");
}

}  // namespace tinygpt::mine_cuda
