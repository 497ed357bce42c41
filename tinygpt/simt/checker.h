// The checker of one launch.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tinygpt/simt/block.h"
#include "tinygpt/simt/report.h"
#include "tinygpt/simt/shadow.h"

namespace tinygpt::simt {

class Profiler;

// A copy to shared memory is a write that begins at one time and ends at another.
enum class AccessKind { read, write, atomic, copy_begins, copy_ends };

// One load or store of a kernel, as the instrumentation reports it.
struct Touch {
  const void* address;
  std::size_t bytes, alignment;
  AccessKind kind;
  const void* where;  // code address
};

// The order of a grid's blocks under a seed: each number below n once.
class BlockOrder {
 public:
  BlockOrder(std::uint64_t n, std::uint64_t seed);
  std::uint64_t at(std::uint64_t i) const { return (i % n_ * factor_ + offset_) % n_; }

 private:
  std::uint64_t n_, factor_ = 1, offset_ = 0;
};

// Which accesses of the other lanes of its warp each thread has seen, by __syncwarp.
struct WarpClocks {
  std::uint32_t clock[32] = {};
  std::uint32_t seen[32][32] = {};
};

class Checker {
 public:
  Checker(const Task& task, std::uint64_t seed, Profiler* profiler);

  std::uint64_t seed() const { return seed_; }
  void found(const Report& report);
  void deliver_all();

  // Events of the running block.
  void block_begins(const BlockRunner& runner);
  void block_ends();
  void missed_barrier(const BlockRunner& runner, const ThreadState& waiting);
  void barrier_completes(const BlockRunner& runner, const std::vector<ThreadState*>& waiting,
                         const ThreadState& last);
  void barrier_completed();
  void warp_synced(unsigned warp, unsigned mask);
  void access(const Touch& touch);

 private:
  // False where the launch cannot go on: the runner knows why.
  bool inspect(const Touch& touch);
  bool inspect_shared(const Touch& touch, std::size_t offset);
  bool inspect_global(const Touch& touch);
  // `array` is the shared array's name, or nullptr for global memory.
  void update(Shadow& shadow, std::size_t offset, const Touch& touch, const char* array,
              bool tell_unwritten);
  bool ordered(const Access& before, std::uint32_t epoch) const;
  bool may_touch_host(const Touch& touch) const;
  Report report_here(Fault fault, const std::string& message, const void* where) const;
  void race(const Access& before, bool before_wrote, const Touch& touch, const char* array);
  bool fatal(Fault fault, const std::string& message, const Touch& touch);

  const Task& task_;
  std::uint64_t seed_;
  Profiler* profiler_;
  BlockRunner& runner_;
  std::vector<Report> reports_;
  std::set<std::tuple<Fault, std::int32_t, std::int32_t>> told_;  // by code addresses

  std::uint32_t launch_;            // epoch of global memory
  std::uint32_t run_ = kHostEpoch;  // epoch of shared memory
  std::uint32_t block_ = 0, interval_ = 0;
  Shadow shared_;
  std::vector<WarpClocks> clocks_;
  bool clocks_used_ = false;
  Allocation* last_ = nullptr;  // touched
};

}  // namespace tinygpt::simt
