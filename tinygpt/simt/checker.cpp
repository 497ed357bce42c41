#include "tinygpt/simt/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>

#include "tinygpt/core/error.h"
#include "tinygpt/simt/check.h"
#include "tinygpt/simt/device.h"
#include "tinygpt/simt/profile.h"
#include "tinygpt/simt/profiler.h"
#include "tinygpt/simt/program.h"
#include "tinygpt/simt/source_line.h"

namespace tinygpt::simt {
namespace {

// The emulated device is one, as a real one is, and so is what is known of it.
struct CheckState {
  std::uint64_t seed = 0;
  Checking* collecting = nullptr;
  std::uint32_t launches = kHostEpoch;
};
CheckState& state() {
  static CheckState the_state;
  return the_state;
}

const char* name(AccessKind kind) {
  if (kind == AccessKind::read) return "read";
  if (kind == AccessKind::atomic) return "atomic";
  return kind == AccessKind::write ? "write" : "asynchronous copy";
}

std::string memory_name(const char* array) {
  if (!array) return "global memory";
  return *array ? fmt::format("shared {}", array) : "dynamic shared memory";
}

std::int32_t site_of(const void* where) {
  return static_cast<std::int32_t>(static_cast<const char*>(where) - code_anchor());
}

}  // namespace

Checking::Checking(std::uint64_t order_seed) : seed(order_seed), outer_(state().collecting) {
  state().collecting = this;
}
Checking::~Checking() { state().collecting = outer_; }

void set_check_seed(std::uint64_t seed) { state().seed = seed; }
std::uint64_t check_seed() { return state().collecting ? state().collecting->seed : state().seed; }

void deliver(const Report& report) {
  check(state().collecting != nullptr, [&] { return describe(report); });
  state().collecting->reports.push_back(report);
}

// A line through the numbers modulo n, with a slope that has no factor in common with n.
BlockOrder::BlockOrder(std::uint64_t n, std::uint64_t seed) : n_(n) {
  if (seed == 0 || n < 2) return;
  std::mt19937_64 random(seed);
  offset_ = random() % n;
  do {
    factor_ = 1 + random() % (std::min<std::uint64_t>(n, std::uint64_t{1} << 31) - 1);
  } while (std::gcd(factor_, n) != 1);
}

Checker::Checker(const Task& task, std::uint64_t seed, Profiler* profiler)
    : task_(task),
      seed_(seed),
      profiler_(profiler),
      runner_(block_runner()),
      launch_(++state().launches) {
  clocks_.resize((task.block.x * task.block.y * task.block.z + 31) / 32);
}

// --- Reports

void Checker::found(const Report& report) { reports_.push_back(report); }

void Checker::deliver_all() {
  for (Report& report : reports_) {
    if (seed_ != 0) report.message += fmt::format(" [seed {}]", seed_);
    deliver(report);
  }
}

Report Checker::report_here(Fault fault, const std::string& message, const void* where) const {
  Report report;
  report.fault = fault;
  report.message = message;
  report.kernel = task_.kernel;
  const SourceLine line = source_line(where);
  report.at = {line.file, line.line, registers.block_index, registers.thread_index};
  return report;
}

bool Checker::fatal(Fault fault, const std::string& message, const Touch& touch) {
  runner_.blame(report_here(fault, message, touch.where));
  return false;
}

void Checker::race(const Access& before, bool before_wrote, const Touch& touch, const char* array) {
  if (!told_.emplace(Fault::race, site_of(touch.where), before.site).second) return;
  const char* const how = before.in_flight ? "unfinished asynchronous copy"
                          : before.atomic  ? "atomic"
                          : before_wrote   ? "write"
                                           : "read";
  const char* const whose = before.block != block_              ? "another block's"
                            : before.thread == registers.linear ? "its own"
                                                                : "another thread's";
  Report report = report_here(Fault::race,
                              fmt::format("{} of {} after {} {}, with nothing that orders the two",
                                          name(touch.kind), memory_name(array), whose, how),
                              touch.where);
  const SourceLine line = source_line(code_anchor() + before.site);
  const dim3 g = task_.grid;
  report.has_other = true;
  report.other = {line.file,
                  line.line,
                  {before.block % g.x, before.block / g.x % g.y, before.block / g.x / g.y},
                  runner_.threads()[before.thread].index};
  found(report);
}

// --- Events

void Checker::block_begins(const BlockRunner&) {
  const uint3 b = registers.block_index;
  block_ = (b.z * task_.grid.y + b.y) * task_.grid.x + b.x;
  interval_ = 0;
  ++run_;
  if (clocks_used_) std::fill(clocks_.begin(), clocks_.end(), WarpClocks{});
  clocks_used_ = false;
  if (profiler_) profiler_->block_begins(runner_);
}

void Checker::block_ends() {
  if (profiler_) profiler_->block_ends(runner_);
}

void Checker::missed_barrier(const BlockRunner& runner, const ThreadState& waiting) {
  const auto& threads = runner.threads();
  const auto gone = std::find_if(threads.begin(), threads.end(),
                                 [](const ThreadState& t) { return t.state == State::done; });
  const auto others = std::count_if(threads.begin(), threads.end(),
                                    [](const ThreadState& t) { return t.state != State::done; });
  Report report;
  report.fault = Fault::missed_barrier;
  report.message =
      fmt::format("the thread has returned while {} others wait at this barrier", others);
  report.kernel = task_.kernel;
  report.at = {waiting.where.file_name(), static_cast<int>(waiting.where.line()),
               registers.block_index, gone->index};
  if (told_.emplace(Fault::missed_barrier, report.at.line, 0).second) found(report);
}

void Checker::barrier_completes(const BlockRunner&, const std::vector<ThreadState*>& waiting,
                                const ThreadState& last) {
  for (const ThreadState* thread : waiting) {
    const auto &a = thread->where, &b = last.where;
    if (a.line() == b.line() && a.column() == b.column()) continue;
    if (!told_.emplace(Fault::divergent_barrier, a.line(), b.line()).second) return;
    Report report;
    report.fault = Fault::divergent_barrier;
    report.message = "threads of one block wait at different barriers";
    report.kernel = task_.kernel;
    report.at = {b.file_name(), static_cast<int>(b.line()), registers.block_index, last.index};
    report.has_other = true;
    report.other = {a.file_name(), static_cast<int>(a.line()), registers.block_index,
                    thread->index};
    return found(report);
  }
}

void Checker::barrier_completed() {
  ++interval_;
  if (profiler_) profiler_->barrier_completed(runner_);
}

void Checker::warp_synced(unsigned warp, unsigned mask) {
  WarpClocks& w = clocks_[warp];
  clocks_used_ = true;
  std::uint32_t together[32] = {};
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    for (unsigned i = 0; i < 32; ++i) together[i] = std::max(together[i], w.seen[lane][i]);
    together[lane] = ++w.clock[lane];  // all of its accesses so far have smaller clocks
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1) std::copy(together, together + 32, w.seen[lane]);
  }
}

// --- Accesses

bool Checker::ordered(const Access& before, std::uint32_t epoch) const {
  if (before.epoch != epoch) return true;
  if (before.in_flight) return false;
  if (before.block != block_) return false;
  const unsigned thread = registers.linear;
  if (before.thread == thread || before.interval != interval_) return true;
  return before.thread / 32 == thread / 32 &&
         before.clock < clocks_[thread / 32].seen[thread % 32][before.thread % 32];
}

void Checker::update(Shadow& shadow, std::size_t offset, const Touch& touch, const char* array,
                     bool tell_unwritten) {
  const std::uint32_t epoch = array ? run_ : launch_;
  if (touch.bytes < shadow.granule || (offset | touch.bytes) % shadow.granule) {
    refine(shadow, (offset | touch.bytes) % 2 ? 1 : 2);
  }
  const unsigned thread = registers.linear;
  Access now;
  now.epoch = epoch;
  now.block = block_;
  now.thread = static_cast<std::uint16_t>(thread);
  now.atomic = touch.kind == AccessKind::atomic;
  now.in_flight = touch.kind == AccessKind::copy_begins;
  now.interval = interval_;
  now.clock = clocks_[thread / 32].clock[thread % 32];
  now.site = site_of(touch.where);
  const std::size_t first = offset / shadow.granule,
                    last = (offset + touch.bytes - 1) / shadow.granule;
  for (std::size_t i = first; i <= last; ++i) {
    Cell& cell = shadow.cells[i];
    const bool unwritten =
        tell_unwritten && (array ? cell.write.epoch != epoch : cell.write.epoch == 0);
    const bool reads = touch.kind == AccessKind::read || touch.kind == AccessKind::atomic;
    if (reads && unwritten && told_.emplace(Fault::uninitialised, now.site, 0).second) {
      found(report_here(
          Fault::uninitialised,
          fmt::format("{} of {}, which was never written", name(touch.kind), memory_name(array)),
          touch.where));
    }
    const bool own_end = touch.kind == AccessKind::copy_ends && cell.write.in_flight &&
                         cell.write.thread == thread && cell.write.site == now.site;
    if (!(now.atomic && cell.write.atomic) && !own_end && !ordered(cell.write, epoch)) {
      race(cell.write, true, touch, array);
    }
    if (touch.kind == AccessKind::read) {
      // A reader that is past is replaced first; of two that are not, the one of another warp
      // stays.
      Access& older = ordered(cell.read[0], epoch) ? cell.read[0] : cell.read[1];
      older = now;
      continue;
    }
    for (const Access& read : cell.read) {
      if (!ordered(read, epoch)) race(read, false, touch, array);
    }
    cell.write = now;
  }
}

// Of the host's memory, a kernel has its parameters, its registers, constants and __constant__s.
bool Checker::may_touch_host(const Touch& touch) const {
  const auto within = [&](const void* begin, std::size_t bytes) {
    return static_cast<std::size_t>(static_cast<const char*>(touch.address) -
                                    static_cast<const char*>(begin)) < bytes;
  };
  if (within(task_.closure, task_.closure_bytes) || within(&registers, sizeof registers))
    return true;
  return is_device_variable(touch.address) ||
         (touch.kind == AccessKind::read && is_constant(touch.address));
}

// Nothing that owns memory is alive when the block is abandoned.
void Checker::access(const Touch& touch) {
  if (!inspect(touch)) runner_.abandon();
}

bool Checker::inspect(const Touch& touch) {
  if (runner_.stacks().contains(touch.address)) return true;
  const auto offset =
      static_cast<std::size_t>(static_cast<const std::byte*>(touch.address) - runner_.shared());
  if (offset < kSharedArena) return inspect_shared(touch, offset);
  return inspect_global(touch);
}

bool Checker::inspect_shared(const Touch& touch, std::size_t offset) {
  const auto fits = [&](std::size_t begin, std::size_t bytes) {
    return offset >= begin && offset + touch.bytes <= begin + bytes;
  };
  const char* array = fits(0, task_.dynamic_shared) ? "" : nullptr;
  const PlacedArray* below = nullptr;
  for (const PlacedArray& placed : runner_.shared_arrays()) {
    if (fits(placed.offset, placed.array.bytes)) array = placed.array.name;
    if (placed.offset <= offset) below = &placed;
  }
  if (!array) {
    const std::size_t begin = below ? below->offset : 0;
    const std::size_t bytes = below ? below->array.bytes : task_.dynamic_shared;
    return fatal(Fault::out_of_bounds,
                 fmt::format("{} of {} bytes at offset {} of the shared array {} of {} bytes",
                             name(touch.kind), touch.bytes, offset - begin,
                             below ? below->array.name : "that the launch sized", bytes),
                 touch);
  }
  if (offset % touch.alignment) {
    return fatal(
        Fault::misaligned,
        fmt::format("{} of {} bytes of shared memory at an address that is not a multiple of {}",
                    name(touch.kind), touch.bytes, touch.alignment),
        touch);
  }
  if (profiler_) profiler_->access(runner_, touch, true);
  const std::size_t cells = (runner_.shared_bytes() + shared_.granule - 1) / shared_.granule;
  if (shared_.cells.size() < cells) shared_.cells.resize(cells);
  update(shared_, offset, touch, array, true);
  return true;
}

bool Checker::inspect_global(const Touch& touch) {
  const auto* const address = static_cast<const std::byte*>(touch.address);
  if (!last_ || last_->freed || address < last_->data || address >= last_->data + last_->bytes) {
    last_ = allocation_below(address);
    // Just below an allocation is its own red zone, not the one before it.
    const auto above = device().allocations.upper_bound(address);
    if (above != device().allocations.end() && address >= above->second.block) {
      last_ = &above->second;
    }
  }
  Allocation* const found = last_;
  const std::byte* const end = found ? found->block + found->bytes + 2 * kRedZone : nullptr;
  if (!found || address >= end) {
    if (may_touch_host(touch)) return true;
    return fatal(Fault::host_pointer,
                 fmt::format("{} of {} bytes at {}, which is no device memory", name(touch.kind),
                             touch.bytes, touch.address),
                 touch);
  }
  const std::ptrdiff_t offset = address - found->data;
  if (offset < 0 || static_cast<std::size_t>(offset) + touch.bytes > found->bytes) {
    return fatal(Fault::out_of_bounds,
                 fmt::format("{} of {} bytes at offset {} of an allocation of {} bytes",
                             name(touch.kind), touch.bytes, offset, found->bytes),
                 touch);
  }
  if (found->freed) {
    return fatal(Fault::use_after_free,
                 fmt::format("{} of {} bytes at offset {} of an allocation that was freed",
                             name(touch.kind), touch.bytes, offset),
                 touch);
  }
  if (static_cast<std::size_t>(offset) % touch.alignment) {
    return fatal(Fault::misaligned,
                 fmt::format("{} of {} bytes at offset {}, which is not a multiple of {}",
                             name(touch.kind), touch.bytes, offset, touch.alignment),
                 touch);
  }
  if (profiler_) profiler_->access(runner_, touch, false);
  const bool tell = device().unchecked_launches <= found->trusted_before;
  update(shadow_of(*found), static_cast<std::size_t>(offset), touch, nullptr, tell);
  return true;
}

void note_atomic(void* address, std::size_t bytes, void* where) {
  if (!registers.in_kernel || !registers.checker) return;
  registers.checker->access({address, bytes, bytes, AccessKind::atomic, where});
}

}  // namespace tinygpt::simt
