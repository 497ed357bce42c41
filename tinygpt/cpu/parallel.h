// When to start threads, and who gets what.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/team.h"

namespace tinygpt::cpu {

// Starting and joining a team costs a few microseconds. Work of fewer elementary steps than this
// (about 10 microseconds on one core) stays on the calling thread; more gets the whole team, since
// teams of changing size make OpenMP end and start threads.
inline constexpr std::int64_t kParallelSteps = 40'000;

// What a thread of an awake team takes at a time: about a microsecond.
inline constexpr std::int64_t kChunkSteps = kParallelSteps / 10;

inline int threads_for(std::int64_t steps) {
  return steps < kParallelSteps ? 1 : omp_get_max_threads();
}

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
inline std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

// Elements of a chunk, of n in all.
inline std::int64_t chunk_of(std::int64_t n, std::int64_t granule, std::int64_t steps_each) {
  const std::int64_t granules = std::max(ceil_div(kChunkSteps, granule * steps_each),
                                         ceil_div(ceil_div(n, granule), kMostChunks));
  return granules * granule;
}

// Calls work(begin, end) for ranges that cover 0 .. n, of consecutive elements each; ranges begin
// at multiples of `granule`. An element costs about `steps_each` elementary steps.
template <class Work>
void parallel_ranges(std::int64_t n, std::int64_t granule, std::int64_t steps_each, Work&& work) {
  if (n <= 0) return;
  const int threads = n <= granule ? 1 : threads_for(n * steps_each);
  if (threads == 1) {
    work(std::int64_t{0}, n);
    return;
  }
  if (leads_team()) {
    const std::int64_t chunk = chunk_of(n, granule, steps_each);
    run_chunks(ceil_div(n, chunk),
               [&](std::int64_t i) { work(i * chunk, std::min((i + 1) * chunk, n)); });
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t granules = ceil_div(n, granule);
    const std::int64_t team = omp_get_num_threads(), me = omp_get_thread_num();
    const std::int64_t begin = std::min(granules * me / team * granule, n);
    const std::int64_t end = std::min(granules * (me + 1) / team * granule, n);
    if (begin < end) work(begin, end);
  }
}

// Calls work(task) for every task; a thread that is done takes the next one.
template <class Work>
void parallel_tasks(std::int64_t tasks, std::int64_t steps_each, Work&& work) {
  const int threads = tasks < 2 ? 1 : threads_for(tasks * steps_each);
  if (threads > 1 && leads_team()) {
    const std::int64_t chunk = chunk_of(tasks, 1, kChunkSteps);
    run_chunks(ceil_div(tasks, chunk), [&](std::int64_t i) {
      for (std::int64_t t = i * chunk; t < std::min((i + 1) * chunk, tasks); ++t) work(t);
    });
    return;
  }
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (std::int64_t task = 0; task < tasks; ++task) work(task);
}

}  // namespace tinygpt::cpu
