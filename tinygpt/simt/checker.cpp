#include "tinygpt/simt/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tinygpt/simt/check.h"

namespace tinygpt::simt {

// A line through the numbers modulo n, with a slope that has no factor in common with n.
BlockOrder::BlockOrder(std::uint64_t n, std::uint64_t seed) : n_(n) {
  if (seed == 0 || n < 2) return;
  std::mt19937_64 random(seed);
  offset_ = random() % n;
  do {
    factor_ = 1 + random() % (std::min<std::uint64_t>(n, std::uint64_t{1} << 31) - 1);
  } while (std::gcd(factor_, n) != 1);
}

Checker::Checker(const Task& task, std::uint64_t seed) : task_(task), seed_(seed) {}

void Checker::found(const Report& report) { reports_.push_back(report); }

void Checker::deliver_all() {
  for (const Report& report : reports_) deliver(report);
}

void Checker::block_begins(const BlockRunner&) {}

void Checker::missed_barrier(const BlockRunner& runner, const ThreadState& waiting) {
  for (const ThreadState& thread : runner.threads()) {
    if (thread.state != State::done) continue;
    Report report;
    report.fault = Fault::missed_barrier;
    report.message = fmt::format(
        "the thread has returned while {} others wait at this barrier",
        std::count_if(runner.threads().begin(), runner.threads().end(),
                      [](const ThreadState& t) { return t.state == State::at_barrier; }));
    report.kernel = task_.kernel;
    report.at = {waiting.where.file_name(), static_cast<int>(waiting.where.line()),
                 registers.block_index, thread.index};
    return found(report);
  }
}

void Checker::barrier_completes(BlockRunner&, const std::vector<ThreadState*>& waiting,
                                const ThreadState& last) {
  for (const ThreadState* thread : waiting) {
    if (thread->where.line() == last.where.line() &&
        thread->where.column() == last.where.column()) {
      continue;
    }
    Report report;
    report.fault = Fault::divergent_barrier;
    report.message = "threads of one block wait at different barriers";
    report.kernel = task_.kernel;
    report.at = {last.where.file_name(), static_cast<int>(last.where.line()), registers.block_index,
                 last.index};
    report.has_other = true;
    report.other = {thread->where.file_name(), static_cast<int>(thread->where.line()),
                    registers.block_index, thread->index};
    return found(report);
  }
}

void Checker::barrier_completed() {}
void Checker::warp_synced(unsigned, unsigned) {}
void Checker::shared_array_placed(const BlockRunner&, const PlacedArray&) {}

namespace {

// The emulated device is one, as a real one is, and so is what is known of it.
struct CheckState {
  std::uint64_t seed = 0;
  Checking* collecting = nullptr;
};
CheckState& state() {
  static CheckState the_state;
  return the_state;
}

}  // namespace

Checking::Checking(std::uint64_t order_seed) : seed(order_seed), outer_(state().collecting) {
  state().collecting = this;
}
Checking::~Checking() { state().collecting = outer_; }

void set_check_seed(std::uint64_t seed) { state().seed = seed; }
std::uint64_t check_seed() { return state().collecting ? state().collecting->seed : state().seed; }

void deliver(const Report& report) {
  if (!state().collecting) throw Error(describe(report));
  state().collecting->reports.push_back(report);
}

void note_atomic(void*, std::size_t, void*) {}

}  // namespace tinygpt::simt
