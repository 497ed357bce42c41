#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/level.h"
#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {
namespace {

// Enough independent chains to hide the latency of a fused multiply-add (4 cycles, two of them
// started in each), and few enough to stay in 16 registers.
constexpr int kChains = 12;

// Runs `rounds` multiply-adds on every chain and gives a value that depends on all of them, so that
// none can be left out. Nor can one be computed beforehand: the compiler does not know the numbers.
// (Where it knew them it dropped the chain that starts at term / (1 - factor) and so never changes,
// one of twelve, and the peak came out 9% too high.)
float run_chains(std::int64_t rounds) {
  volatile float unknown_factor = 0.999f, unknown_term = 0.001f;
  const Vec factor = broadcast(unknown_factor), term = broadcast(unknown_term);
  Vec chains[kChains];
  for (int i = 0; i < kChains; ++i) chains[i] = broadcast(static_cast<float>(i));
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + term;
  }
  Vec sum = chains[0];
  for (int i = 1; i < kChains; ++i) sum += chains[i];
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  return total;
}

}  // namespace

double measure_vector_peak(int threads) {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t kRounds = 300'000;
  double best = 0;
  float total = 0;
  for (int run = 0; run < 16; ++run) {
    const auto start = Clock::now();
#pragma omp parallel num_threads(threads) reduction(+ : total)
    total += run_chains(kRounds);
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, 2.0 * kLanes * kChains * kRounds * threads / took.count());
  }
  check(total != 0, "measure_vector_peak: the chains ended at zero");
  return best;
}

}  // namespace tinygpt::cpu
