#include "bench/measure.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <thread>

#include "tinygpt/core/error.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::bench {
namespace {

double now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

double time_repeated(const std::function<void()>& run, int repeats,
                     const std::function<void()>& wait) {
  if (wait) wait();  // nothing is under way
  const double start = now();
  for (int i = 0; i < repeats; ++i) run();
  if (wait) wait();
  return (now() - start) / repeats;
}

}  // namespace

Timing summarize(std::vector<double> values) {
  check(!values.empty(), "summarize: there is nothing to summarize");
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  const double median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  return {median, values.front(), values.back()};
}

std::vector<Timing> time_in_turn(const std::vector<Candidate>& candidates, int rounds,
                                 double min_seconds, const std::function<void()>& wait,
                                 double rest) {
  std::vector<int> repeats;
  for (const Candidate& candidate : candidates) {
    candidate.run();  // first touch of memory, threads started
    const double once = std::max(time_repeated(candidate.run, 1, wait), 1e-9);
    repeats.push_back(std::max(1, static_cast<int>(std::ceil(min_seconds / once))));
  }
  std::vector<std::vector<double>> seconds(candidates.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (rest > 0) {
        std::this_thread::sleep_for(std::chrono::duration<double>(rest));
        candidates[i].run();
      }
      seconds[i].push_back(time_repeated(candidates[i].run, repeats[i], wait));
    }
  }
  std::vector<Timing> timings;
  for (std::vector<double>& values : seconds) timings.push_back(summarize(std::move(values)));
  return timings;
}

double measure_read_bandwidth(int threads) {
  const std::int64_t n = std::int64_t{1} << 25;  // of 8 bytes: 256 MiB
  // Memory as the weights have it: in large pages, where the system gives them.
  const DeviceBuffer buffer(host_memory(), n * 8);
  auto* data = static_cast<std::uint64_t*>(buffer.data());
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) data[i] = static_cast<std::uint64_t>(i);
  double best = 0;
  std::uint64_t sum = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const double start = now();
#pragma omp parallel for num_threads(threads) schedule(static) reduction(^ : sum)
    for (std::int64_t i = 0; i < n; ++i) sum ^= data[i];
    best = std::max(best, static_cast<double>(n) * 8.0 / (now() - start));
  }
  // The sum is used, so that the loop cannot be left out.
  check(sum != 1, "measure_read_bandwidth: the sum is wrong");
  return best;
}

}  // namespace tinygpt::bench
