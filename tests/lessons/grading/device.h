// Where a grader's kernels run: on the host, or on CUDA, emulated and checked.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

Memory device_memory();

// Kernels run in another order of their threads in each round; the host has one round.
int rounds();

// What the checker found in a kernel.
struct DeviceFault {
  std::string problem, nudge;
};

// Runs `work`, and says what the checker found meanwhile, in this round's order of threads.
std::optional<DeviceFault> watch(int round, const std::function<void()>& work);

// Has the checker found something since `watch` began? Results may be right all the same.
bool fault_found();

// What a run asks of the device's memory, for the learner to compare.
nlohmann::json measure(const ProfileRun& run);

// For graders of kernels: what the work asks of global memory. A request is a warp's.
double sectors_per_request(const std::function<void()>& work);
double bytes_loaded(const std::function<void()>& work);
double bytes_stored(const std::function<void()>& work);

}  // namespace tinygpt::lessons
