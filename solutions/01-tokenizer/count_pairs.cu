#include "solutions/01-tokenizer/count_pairs.cuh"

#include <string>

#include "solutions/kernel.cuh"

namespace tinygpt::ref_cuda {
namespace {

// Whether the pair at i, i + 1 counts. One of two different tokens always does. In a row of equal
// ones, every other does: those with an even number of equals before them.
__device__ bool pair_counts(const int* tokens, std::int64_t i) {
  if (tokens[i] != tokens[i + 1]) return true;
  std::int64_t before = 0;
  while (before < i && tokens[i - before - 1] == tokens[i]) ++before;
  return before % 2 == 0;
}

}  // namespace

// counts[a, b] += how often b follows a: one thread for each place of the text. pair_counts says
// whether the pair at i counts. Integer additions may come in any order: atomicAdd is exact.
__global__ void count_pairs_kernel(int* counts, const int* tokens, std::int64_t n, int V) {
  // your code on the device: 01.count_pairs_cuda
  const std::int64_t i = first_index();
  if (i + 1 < n && pair_counts(tokens, i)) atomicAdd(&counts[tokens[i] * V + tokens[i + 1]], 1);
  // end of your code
}

void count_pairs(int* counts, const int* tokens, std::int64_t n, int V) {
  if (n < 2) return;
  // your code: 01.count_pairs_cuda
  const auto blocks = static_cast<unsigned>(ceil_div(n - 1, kThreads));
  count_pairs_kernel<<<blocks, kThreads>>>(counts, tokens, n, V);
  // end of your code
  check_launch("count_pairs");
}

// The same. The block counts into a table of its own first, in shared memory, where additions that
// meet cost little; at the end it adds each counter to the one in global memory, once. A small
// grid: each thread comes round, so that a block counts many more places than its table has
// counters.
__global__ void count_pairs_shared_kernel(int* counts, const int* tokens, std::int64_t n, int V) {
  // your code on the device: 01.count_pairs_shared_cuda
  __shared__ int mine[kMostTokens * kMostTokens];
  for (int c = threadIdx.x; c < V * V; c += blockDim.x) mine[c] = 0;
  __syncthreads();  // the table is empty
  for (std::int64_t i = first_index(); i + 1 < n; i += index_stride()) {
    if (pair_counts(tokens, i)) atomicAdd(&mine[tokens[i] * V + tokens[i + 1]], 1);
  }
  __syncthreads();  // the table is full
  for (int c = threadIdx.x; c < V * V; c += blockDim.x) {
    if (mine[c] > 0) atomicAdd(&counts[c], mine[c]);
  }
  // end of your code
}

void count_pairs_shared(int* counts, const int* tokens, std::int64_t n, int V) {
  check(V <= kMostTokens, [&] {
    return "count_pairs_shared: V is " + std::to_string(V) + "; at most 64 fit into a block";
  });
  if (n < 2) return;
  // your code: 01.count_pairs_shared_cuda
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(ceil_div(n - 1, kThreads), 32));
  count_pairs_shared_kernel<<<blocks, kThreads>>>(counts, tokens, n, V);
  // end of your code
  check_launch("count_pairs_shared");
}

}  // namespace tinygpt::ref_cuda
