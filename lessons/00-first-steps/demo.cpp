// The experiments of lesson 00.
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lessons/support/demo.h"
#include "solutions/00-first-steps/first_steps.h"
#include "tinygpt/core/error.h"

#if defined(TINYGPT_CHECKED_KERNELS)
#include "lessons/00-first-steps/who.cuh"
#include "solutions/00-first-steps/first_steps.cuh"
#include "tinygpt/simt/check.h"
#include "tinygpt/simt/memory.h"
#endif

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

void worked(const std::vector<Option>&) {
  const std::vector<float> x = {1.0f, -2.0f, 0.5f, 4.0f};
  std::vector<float> y = {10.0f, 10.0f, 10.0f, 10.0f}, scaled(4);
  ref::axpy(y.data(), x.data(), 3.0f, 4);
  ref::scale(scaled.data(), x.data(), 3.0f, 4);
  fmt::print("{:>3}{:>8}{:>22}{:>14}\n", "i", "x", "axpy: 10 + 3 x", "scale: 3 x");
  for (std::size_t i = 0; i < 4; ++i) {
    fmt::print("{:>3}{:>8.1f}{:>22.1f}{:>14.1f}\n", i, x[i], y[i], scaled[i]);
  }
}

#if defined(TINYGPT_CHECKED_KERNELS)

// An array of ints in the emulated device's memory.
struct Ints {
  explicit Ints(int count) : size(static_cast<std::size_t>(count)) {
    data = static_cast<int*>(memory.allocate(size * sizeof(int)));
    memory.zero(data, size * sizeof(int));
  }
  ~Ints() { memory.release(data); }
  Ints(const Ints&) = delete;
  Ints& operator=(const Ints&) = delete;
  std::vector<int> values() const {
    std::vector<int> host(size);
    memory.copy_out(host.data(), data, size * sizeof(int));
    return host;
  }
  Memory memory = simt::emulated_memory();
  std::size_t size;
  int* data;
};

int whole(const std::vector<Option>& options, const char* name, int most) {
  const double value = as_number(options, name);
  check(value >= 1 && value <= most && value == static_cast<int>(value),
        [&] { return fmt::format("--{} must be a whole number from 1 to {}", name, most); });
  return static_cast<int>(value);
}

void threads(const std::vector<Option>& options) {
  const int n = whole(options, "n", 200), size = whole(options, "block", 64);
  const int blocks = (n + size - 1) / size;
  Ints turn(n), block(n), thread(n), idle(1), counter(1);
  simt::set_check_seed(static_cast<std::uint64_t>(as_number(options, "seed")));
  lesson_cuda::who(turn.data, block.data, thread.data, idle.data, counter.data, n, blocks, size);
  const std::vector<int> turns = turn.values(), of_block = block.values();
  const std::vector<int> of_thread = thread.values();
  fmt::print("{} elements, blocks of {} threads: {} blocks, {} threads\n\n", n, size, blocks,
             blocks * size);
  fmt::print("{:>8}{:>8}{:>8}   {}\n", "element", "block", "thread", "came as number");
  for (std::size_t i = 0; i < turns.size(); ++i) {
    fmt::print("{:>8}{:>8}{:>8}   {:<4}{}\n", i, of_block[i], of_thread[i], turns[i] + 1,
               std::string(static_cast<std::size_t>(turns[i]), '.') + "o");
  }
  fmt::print("\n{} threads had no element: that is what the guard if (i < n) is for\n",
             idle.values()[0]);
}

#endif

}  // namespace

int main(int argc, char** argv) {
  std::vector<Experiment> experiments = {
      {"worked", "the numbers of the lesson's worked example", worked}};
#if defined(TINYGPT_CHECKED_KERNELS)
  experiments.push_back({"threads",
                         "run a kernel on the emulator and print which thread did what",
                         threads,
                         {{"n", "elements", "10"},
                          {"block", "threads of a block", "4"},
                          {"seed", "order of the threads; 0 is their natural order", "0"}}});
#endif
  return run_demo(argc, argv, "Lesson 00: first steps", std::move(experiments));
}
