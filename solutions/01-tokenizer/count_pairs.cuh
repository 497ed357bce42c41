// Lesson 01 on CUDA: many threads count at once.
#pragma once

#include <cstdint>

namespace tinygpt::ref_cuda {

inline constexpr int kMostTokens = 64;  // for count_pairs_shared: 16 KiB of counters in a block

// counts[a, b] += how often b follows a, where an occurrence of (a, a) that shares a token with the
// one before it does not count: as count_pairs of lesson 01.
//
// counts [V, V]  accumulates; that of (a, b) is counts[a * V + b]
// tokens [n]     0 <= tokens[i] < V
void count_pairs(int* counts, const int* tokens, std::int64_t n, int V);

// The same with a table of counters in the shared memory of each block. V <= kMostTokens.
void count_pairs_shared(int* counts, const int* tokens, std::int64_t n, int V);

}  // namespace tinygpt::ref_cuda
