// Runs the threads of one block, each on a fiber of its own once it has to wait for another.
//
// A thread runs until it ends or waits at a barrier or a warp's collective; then the next one runs.
// Threads that never wait follow each other on one fiber, as a loop would run them.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <source_location>
#include <string>
#include <vector>

#include "tinygpt/core/buffer.h"
#include "tinygpt/simt/fiber.h"
#include "tinygpt/simt/host/warp.h"
#include "tinygpt/simt/launch.h"
#include "tinygpt/simt/limits.h"
#include "tinygpt/simt/report.h"

namespace tinygpt::simt {

class Checker;

// Someone who waits to be jumped to.
struct Parked {
  Context context = nullptr;
  StackNote note;
};

enum class State { unstarted, running, ready, at_barrier, in_collective, done };

// Run once for a whole warp, with what each lane brings.
using WarpFunction = void(void* const (&lanes)[32]);

// A copy to shared memory that the thread has not waited for, or the end of a group of them.
struct AsyncCopy {
  void* shared;
  const void* where;  // code address of its start
  int bytes;
  bool commits;
  std::byte data[16];
};

struct ThreadState {
  Parked parked;
  uint3 index{};
  unsigned linear = 0;
  State state = State::unstarted;
  std::source_location where;  // of the barrier or collective it waits at
  unsigned mask = 0;           // of that collective
  int source = 0;              // the lane whose value it wants
  std::uint64_t value = 0, result = 0;
  WarpFunction* function = nullptr;  // of a matrix instruction
  std::vector<AsyncCopy> copies;
};

// A collective that some of its lanes have reached.
struct Pending {
  Collective kind;
  unsigned mask, arrived;
};

// The block's shared memory: the dynamic part, then each array with a gap after it.
inline constexpr std::size_t kSharedArena = 256 << 10, kSharedGap = 64;

struct PlacedArray {
  SharedArray array;
  std::size_t offset;
};

class BlockRunner {
 public:
  BlockRunner();

  // For all blocks of one launch: its shape, and the order of its threads.
  void prepare(const Task& task, Checker* checker);
  // False when the block failed; failure() says why.
  bool run(uint3 block);
  const Report& failure() const { return failure_; }

  // Called by the threads themselves.
  int barrier(BarrierKind kind, int predicate, std::source_location where);
  std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t value, int source,
                           std::source_location where);
  // The last of the warp's 32 lanes to come runs the function for all.
  void warp_call(WarpFunction* function, void* mine, std::source_location where);
  std::vector<AsyncCopy>& copies() { return current_->copies; }
  void* place_shared(const SharedArray& array);
  unsigned active_mask() const;
  // Says what is wrong; then the caller drops what it holds and abandons the block, which ends
  // here and now: no thread of it runs again, and nothing on its fibers is destroyed.
  void blame(Fault kind, const std::string& what, std::source_location where);
  void blame(const Report& report) { failure_ = report; }
  [[noreturn]] void abandon();

  // For the checker.
  const std::vector<ThreadState>& threads() const { return threads_; }
  const ThreadState& current() const { return *current_; }
  const std::vector<PlacedArray>& shared_arrays() const { return arrays_; }
  const std::byte* shared() const { return shared_.data(); }
  std::size_t shared_bytes() const { return shared_used_; }
  const Stacks& stacks() const { return stacks_; }
  const Task& task() const { return *task_; }
  std::mt19937_64& random() { return random_; }

 private:
  friend void fiber_entry(Transfer transfer);
  void fiber_main(int stack);
  void start(ThreadState& thread);
  void finish(ThreadState& thread);
  void park(ThreadState& self);
  void jump(Parked* from, Parked& to);
  Parked& next();
  bool ready_first();
  ThreadState& take_ready();
  void make_ready(ThreadState& thread);
  void complete_barrier();
  void complete(Pending pending, unsigned warp);
  Report here(Fault kind, const std::string& what, std::source_location where) const;
  Report explain_deadlock();

  Stacks stacks_;
  Buffer<std::byte> shared_;
  std::size_t shared_used_ = 0;
  std::vector<PlacedArray> arrays_;

  const Task* task_ = nullptr;
  Checker* checker_ = nullptr;
  bool permuted_ = false;  // threads run in an order drawn from random_
  std::mt19937_64 random_;

  std::vector<ThreadState> threads_;
  std::vector<unsigned> order_;  // of starting
  unsigned started_ = 0, live_ = 0;
  std::vector<ThreadState*> ready_, waiting_;
  std::size_t ready_head_ = 0;
  int count_ = 0, barrier_count_ = 0;  // of true predicates: being counted, and counted
  std::array<std::vector<Pending>, kMaxThreads / 32> pending_;

  Parked main_, fresh_;
  int fresh_stack_ = 0;
  ThreadState* current_ = nullptr;
  bool failed_ = false;
  Report failure_;
};

// This CPU thread's.
BlockRunner& block_runner();

}  // namespace tinygpt::simt
