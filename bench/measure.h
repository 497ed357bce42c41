// Timing that can be trusted on a noisy machine: several runs, candidates in turn, medians.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tinygpt::bench {

struct Timing {  // seconds of one call
  double median = 0, min = 0, max = 0;
};

// One thing to time.
struct Candidate {
  std::string name;
  std::function<void()> run;
};

// Times the candidates in turn (A B C, A B C, ...), so that a machine whose speed drifts drifts for
// all of them. Each gets one call to warm up and then `rounds` measurements; a measurement repeats
// the call until it lasts min_seconds, so that short kernels outlast the clock's grain.
// A device computes on after a call has returned: `wait` is then what waits for it, at the end of
// each measurement and inside of its time.
// Where candidates are other programs, `rest` seconds pass before each measurement, and a call that
// does not count: threads that wait for work keep a core busy for a while (a step of nano-10M right
// after PyTorch's took 5% longer), and it has taken the caches.
std::vector<Timing> time_in_turn(const std::vector<Candidate>& candidates, int rounds,
                                 double min_seconds, const std::function<void()>& wait = {},
                                 double rest = 0);

// Median, minimum and maximum; values must not be empty.
Timing summarize(std::vector<double> values);

// Bytes read per second by `threads` threads from a buffer four times as large as a big last-level
// cache (256 MiB), the best of several passes.
double measure_read_bandwidth(int threads);

}  // namespace tinygpt::bench
