// Where the time of a training step goes: a table whose operators keep their time, beside what the
// machine's limits would let each of them take.
#pragma once

#include <functional>
#include <vector>

#include "bench/report.h"
#include "tinygpt/model/config.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::bench {

// A table that does what `inner` does. Operators are plain functions and carry nothing with them,
// so their clocks are shared: one timed table at a time, on one thread.
Ops<float> timed_ops(const Ops<float>& inner, const GptConfig& config);
Memory timed_memory(const Memory& inner);

// Calls run, one step, `rounds` times and gives the median of each operator's time, in the order of
// their first calls. What lies between operators is the last entry, "between operators".
std::vector<OperatorTime> time_operators(const std::function<void()>& run, int rounds);

}  // namespace tinygpt::bench
