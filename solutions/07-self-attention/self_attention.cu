#include "solutions/07-self-attention/self_attention.cuh"

#include <cstdint>

#include "solutions/kernel.cuh"

// Attention as three kernels. Each writes one matrix to memory, and the next one reads it back.

namespace tinygpt::ref_cuda {
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
  const int lane = threadIdx.x % kWarp;
  const std::int64_t i = first_index() / kWarp;  // which of the T * T scores
  if (i >= std::int64_t{T} * T) return;          // the last block has warps too many
  const float* q_t = q + i / T * HS;
  const float* k_u = k + i % T * HS;
  float sum = 0.0f;
  for (int d = lane; d < HS; d += kWarp) sum += q_t[d] * k_u[d];
  sum = warp_sum(sum);
  if (lane == 0) scores[i] = sum / sqrtf(static_cast<float>(HS));
  // end of your code
}

void attention_scores(float* scores, const float* q, const float* k, int T, int HS) {
  if (T == 0) return;
  // your code: 07.attention_scores_cuda
  const std::int64_t warps = std::int64_t{T} * T;
  attention_scores_kernel<<<blocks_for_warps(warps), kThreads>>>(scores, q, k, T, HS);
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
  const int lane = threadIdx.x % kWarp;
  const std::int64_t t = first_index() / kWarp;
  if (t >= T) return;
  const std::int64_t row = t * T;
  const auto visible = [&](int u) { return mask == nullptr || mask[row + u] != 0; };
  float largest = -INFINITY;
  for (int u = lane; u < T; u += kWarp) {
    if (visible(u)) largest = fmaxf(largest, scores[row + u]);
  }
  largest = warp_reduce<Max>(largest);
  float sum = 0.0f;
  for (int u = lane; u < T; u += kWarp) {
    if (visible(u)) sum += expf(scores[row + u] - largest);
  }
  sum = warp_sum(sum);
  // A row that may look nowhere comes here with a sum of 0, and divides nothing by it.
  for (int u = lane; u < T; u += kWarp) {
    p[row + u] = visible(u) ? expf(scores[row + u] - largest) / sum : 0.0f;
  }
  // end of your code
}

void masked_softmax(float* p, const float* scores, const int* mask, int T) {
  if (T == 0) return;
  // your code: 07.masked_softmax_cuda
  masked_softmax_kernel<<<blocks_for_warps(T), kThreads>>>(p, scores, mask, T);
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
  const int t = blockIdx.x;
  const int c = blockIdx.y * kTile + threadIdx.x;
  float sum = 0.0f;
  for (int first = 0; first < T; first += kTile) {
    const int mine = first + threadIdx.x;
    __syncthreads();  // whoever still reads the weights before these
    tile[threadIdx.x] = mine < T ? weights[std::int64_t{t} * T + mine] : 0.0f;
    __syncthreads();
    if (c < C) {
      for (int u = first; u < first + kTile && u < T; ++u) {
        sum += tile[u - first] * x[std::int64_t{u} * C + c];
      }
    }
  }
  if (c < C) out[std::int64_t{t} * C + c] = sum;
  // end of your code
}

void weighted_sum(float* out, const float* weights, const float* x, int T, int C) {
  if (T == 0 || C == 0) return;
  // your code: 07.weighted_sum_cuda
  const dim3 blocks(T, static_cast<unsigned>(ceil_div(C, kTile)));
  weighted_sum_kernel<<<blocks, kTile>>>(out, weights, x, T, C);
  // end of your code
  check_launch("weighted_sum");
}

}  // namespace tinygpt::ref_cuda
