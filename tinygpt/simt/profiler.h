// Gathers the accesses of a launch into warps' requests.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "tinygpt/simt/checker.h"
#include "tinygpt/simt/profile.h"

namespace tinygpt::simt {

Profiling* current_profiling();

class Profiler {
 public:
  Profiler(const Task& task, Profiling& profiling);

  void block_begins(const BlockRunner& runner);
  void barrier_completed(const BlockRunner& runner);
  void block_ends(const BlockRunner& runner);
  void access(const BlockRunner& runner, const Touch& touch, bool shared);
  void finish();

 private:
  // The lanes of one warp that come to one instruction for the same time.
  struct Request {
    std::uint32_t mask = 0;
    std::array<std::uintptr_t, 32> address{};
  };
  // One instruction's requests by one warp, since the last barrier.
  struct Stream {
    bool shared = false;
    std::size_t bytes = 0;
    std::array<std::uint64_t, 32> visits{};  // by lane
    std::uint64_t complete = 0;              // requests counted and dropped from the front
    std::deque<Request> open;
  };

  void count(const void* where, const Stream& stream, const Request& request, unsigned warp);
  void count_open();

  const Task& task_;
  Profiling& profiling_;
  KernelProfile profile_;
  std::unordered_map<const void*, LineProfile> by_address_;
  std::vector<std::unordered_map<const void*, Stream>> warps_;
};

}  // namespace tinygpt::simt
