// Sums down the columns of a matrix [N, C]: the gradients of what serves every row, such as a bias.
//
// One block has 32 neighbouring columns and 8 threads for each: thread (x, y) adds up rows y,
// y + 8, ... of column x, and then the 8 sums become one. A warp is the 32 columns of one row, so
// it reads 32 neighbours. Each column belongs to one block and each row to one y: the order of the
// additions is the same in every run.
#pragma once

#include "exercises/kernel.cuh"

namespace tinygpt::mine_cuda {

inline constexpr int kColumnRows = 8;
inline const dim3 kColumnBlock(kWarp, kColumnRows);

inline unsigned column_blocks(int C) { return static_cast<unsigned>(ceil_div(C, kWarp)); }

// The sum over threadIdx.y of one value each, to the thread with threadIdx.y = 0. All threads of
// the block must come here, those beyond the last column, too.
__device__ inline float column_sum(float value) {
  __shared__ float of_thread[kColumnRows][kWarp];
  __syncthreads();  // whoever still reads what an earlier call left here
  of_thread[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  if (threadIdx.y > 0) return 0.0f;
  float sum = 0.0f;
  for (int y = 0; y < kColumnRows; ++y) sum += of_thread[y][threadIdx.x];
  return sum;
}

}  // namespace tinygpt::mine_cuda
