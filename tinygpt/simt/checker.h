// The checker of one launch.
#pragma once

#include <cstdint>
#include <vector>

#include "tinygpt/simt/block.h"
#include "tinygpt/simt/report.h"

namespace tinygpt::simt {

// The order of a grid's blocks under a seed: each number below n once.
class BlockOrder {
 public:
  BlockOrder(std::uint64_t n, std::uint64_t seed);
  std::uint64_t at(std::uint64_t i) const { return (i % n_ * factor_ + offset_) % n_; }

 private:
  std::uint64_t n_, factor_ = 1, offset_ = 0;
};

class Checker {
 public:
  Checker(const Task& task, std::uint64_t seed);

  std::uint64_t seed() const { return seed_; }
  void found(const Report& report);
  void deliver_all();

  // Events of the running block.
  void block_begins(const BlockRunner& runner);
  void missed_barrier(const BlockRunner& runner, const ThreadState& waiting);
  void barrier_completes(BlockRunner& runner, const std::vector<ThreadState*>& waiting,
                         const ThreadState& last);
  void barrier_completed();
  void warp_synced(unsigned warp, unsigned mask);
  void shared_array_placed(const BlockRunner& runner, const PlacedArray& placed);

 private:
  const Task& task_;
  std::uint64_t seed_;
  std::vector<Report> reports_;
};

}  // namespace tinygpt::simt
