#include "exercises/01-tokenizer/count_pairs.cuh"

#include <string>

#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {
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
  // end of your code
}

void count_pairs(int* counts, const int* tokens, std::int64_t n, int V) {
  if (n < 2) return;
  // your code: 01.count_pairs_cuda
  throw NotImplemented("01.count_pairs_cuda");
  // end of your code
  check_launch("count_pairs");
}

// The same. The block counts into a table of its own first, in shared memory, where additions that
// meet cost little; at the end it adds each counter to the one in global memory, once. A small
// grid: each thread comes round, so that a block counts many more places than its table has
// counters.
__global__ void count_pairs_shared_kernel(int* counts, const int* tokens, std::int64_t n, int V) {
  // your code on the device: 01.count_pairs_shared_cuda
  // end of your code
}

void count_pairs_shared(int* counts, const int* tokens, std::int64_t n, int V) {
  check(V <= kMostTokens, [&] {
    return "count_pairs_shared: V is " + std::to_string(V) + "; at most 64 fit into a block";
  });
  if (n < 2) return;
  // your code: 01.count_pairs_shared_cuda
  throw NotImplemented("01.count_pairs_shared_cuda");
  // end of your code
  check_launch("count_pairs_shared");
}

}  // namespace tinygpt::mine_cuda
