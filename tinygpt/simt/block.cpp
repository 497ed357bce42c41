#include "tinygpt/simt/block.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>

#include "tinygpt/simt/checker.h"

namespace tinygpt::simt {

thread_local constinit Registers registers;

BlockRunner& block_runner() {
  thread_local BlockRunner runner;
  return runner;
}

int barrier(BarrierKind kind, int predicate, std::source_location where) {
  return registers.runner->barrier(kind, predicate, where);
}
std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t value, int source,
                         std::source_location where) {
  return registers.runner->collective(kind, mask, value, source, where);
}
void* place_shared_array(const SharedArray& array) { return registers.runner->place_shared(array); }
unsigned active_mask() { return registers.runner->active_mask(); }

BlockRunner::BlockRunner() : shared_(static_cast<std::int64_t>(kSharedArena)) {}

void BlockRunner::prepare(const Task& task, Checker* checker) {
  task_ = &task;
  checker_ = checker;
  const dim3 size = task.block;
  const unsigned n = size.x * size.y * size.z;
  threads_.resize(n);
  for (unsigned i = 0; i < n; ++i) {
    threads_[i].linear = i;
    threads_[i].index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
  }
  order_.resize(n);
  std::iota(order_.begin(), order_.end(), 0u);
  permuted_ = checker && checker->seed() != 0;
  if (permuted_) random_.seed(checker->seed());
  arrays_.clear();
  shared_used_ = task.dynamic_shared;
  registers.block_size = task.block;
  registers.grid_size = task.grid;
  registers.shared = shared_.data();
  registers.runner = this;
  registers.checker = checker;
}

bool BlockRunner::run(uint3 block) {
  registers.block_index = block;
  started_ = 0;
  live_ = static_cast<unsigned>(threads_.size());
  for (ThreadState& thread : threads_) {
    thread.state = State::unstarted;
    thread.copies.clear();
  }
  if (permuted_) std::shuffle(order_.begin(), order_.end(), random_);
  if (checker_) checker_->block_begins(*this);

  failed_ = false;
  current_ = nullptr;
  registers.in_kernel = true;
  jump(&main_, next());
  registers.in_kernel = false;
  if (!failed_ && live_ > 0) {
    failed_ = true;
    failure_ = explain_deadlock();
  }
  if (!failed_) {
    if (checker_) checker_->block_ends();
    return true;
  }

  // The fibers that still wait are forgotten, and their stacks taken back.
  for (auto& pending : pending_) pending.clear();
  ready_.clear();
  waiting_.clear();
  ready_head_ = 0;
  count_ = 0;
  stacks_.give_all();
  return false;
}

// --- Fibers

void fiber_entry(Transfer transfer) {
  BlockRunner& runner = *registers.runner;
  auto* from = static_cast<Parked*>(transfer.data);
  if (from) from->context = transfer.fctx;
  after_jump(runner.fresh_.note, from ? &from->note : nullptr);
  runner.fiber_main(runner.fresh_stack_);
}

// Runs thread after thread, until none is left to start or one that waited should go on first.
void BlockRunner::fiber_main(int stack) {
  const StackNote note = fresh_.note;
  do {
    ThreadState& thread = threads_[order_[started_++]];
    thread.parked.note = note;
    start(thread);
    task_->run(task_->closure);
    finish(*current_);
    if (!stacks_.intact(stack)) {
      blame(Fault::stack_overflow, "the thread's local variables need more stack than there is",
            task_->where);
      abandon();
    }
  } while (started_ < threads_.size() && !ready_first());
  stacks_.give(stack);  // nobody takes it before the jump
  current_ = nullptr;
  jump(nullptr, next());
  std::abort();  // nobody jumps to a fiber that has ended
}

void BlockRunner::start(ThreadState& thread) {
  thread.state = State::running;
  current_ = &thread;
  registers.thread_index = thread.index;
  registers.linear = thread.linear;
}

void BlockRunner::finish(ThreadState& thread) {
  thread.state = State::done;
  --live_;
  if (waiting_.empty() || waiting_.size() != live_) return;
  if (checker_) checker_->missed_barrier(*this, *waiting_.front());
  complete_barrier();
}

void BlockRunner::park(ThreadState& self) {
  jump(&self.parked, next());
  start(self);
}

void BlockRunner::jump(Parked* from, Parked& to) {
  before_jump(from ? &from->note : nullptr, to.note);
  const Transfer transfer = boost::context::detail::jump_fcontext(to.context, from);
  auto* arrived_from = static_cast<Parked*>(transfer.data);
  if (arrived_from) arrived_from->context = transfer.fctx;
  after_jump(from->note, arrived_from ? &arrived_from->note : nullptr);
}

// The next to run: a thread that waited, a fiber for threads that have not started, or the caller
// of run().
Parked& BlockRunner::next() {
  const bool startable = started_ < threads_.size();
  if (ready_head_ < ready_.size() && (!startable || ready_first())) return take_ready().parked;
  if (!startable) return main_;
  fresh_stack_ = stacks_.take();
  std::byte* const bottom = stacks_.bottom(fresh_stack_);
  std::byte* const top = stacks_.top(fresh_stack_);
  const auto size = static_cast<std::size_t>(top - bottom);
  fresh_.context = boost::context::detail::make_fcontext(top, size, fiber_entry);
  fresh_.note = {nullptr, bottom, size};
  return fresh_;
}

// Threads that waited go first, while their data is in the cache; a permuted order throws a coin.
bool BlockRunner::ready_first() {
  return ready_head_ < ready_.size() && (!permuted_ || random_() % 2 == 0);
}

ThreadState& BlockRunner::take_ready() {
  if (permuted_) {
    const std::size_t chosen = ready_head_ + random_() % (ready_.size() - ready_head_);
    std::swap(ready_[ready_head_], ready_[chosen]);
  }
  ThreadState& thread = *ready_[ready_head_++];
  if (ready_head_ == ready_.size()) {
    ready_.clear();
    ready_head_ = 0;
  }
  return thread;
}

void BlockRunner::make_ready(ThreadState& thread) {
  thread.state = State::ready;
  ready_.push_back(&thread);
}

Report BlockRunner::here(Fault kind, const std::string& what, std::source_location where) const {
  Report report;
  report.fault = kind;
  report.message = what;
  report.kernel = task_->kernel;
  report.at = {where.file_name(), static_cast<int>(where.line()), registers.block_index,
               registers.thread_index};
  return report;
}

void BlockRunner::blame(Fault kind, const std::string& what, std::source_location where) {
  failure_ = here(kind, what, where);
}

void BlockRunner::abandon() {
  failed_ = true;
  jump(nullptr, main_);
  std::abort();  // nobody jumps back
}

// --- Barriers

int BlockRunner::barrier(BarrierKind kind, int predicate, std::source_location where) {
  ThreadState& self = *current_;
  self.where = where;
  if (predicate) ++count_;
  if (waiting_.size() + 1 == live_) {
    if (checker_) checker_->barrier_completes(*this, waiting_, self);
    if (checker_ && live_ < threads_.size()) checker_->missed_barrier(*this, self);
    complete_barrier();
  } else {
    self.state = State::at_barrier;
    waiting_.push_back(&self);
    park(self);
  }
  if (kind == BarrierKind::all) return barrier_count_ == static_cast<int>(threads_.size());
  return kind == BarrierKind::any ? barrier_count_ > 0 : barrier_count_;
}

void BlockRunner::complete_barrier() {
  barrier_count_ = count_;
  count_ = 0;
  for (ThreadState* thread : waiting_) thread->state = State::ready;
  if (ready_.empty()) {
    ready_.swap(waiting_);
  } else {
    ready_.insert(ready_.end(), waiting_.begin(), waiting_.end());
  }
  waiting_.clear();
  if (checker_) checker_->barrier_completed();
}

// --- Shared memory

void* BlockRunner::place_shared(const SharedArray& array) {
  for (const PlacedArray& placed : arrays_) {
    if (placed.array.key == array.key) return shared_.data() + placed.offset;
  }
  const std::size_t alignment = std::max<std::size_t>(array.alignment, 16);
  const std::size_t gap = arrays_.empty() && shared_used_ == 0 ? 0 : kSharedGap;
  const std::size_t offset = (shared_used_ + gap + alignment - 1) / alignment * alignment;
  std::size_t total = array.bytes;
  for (const PlacedArray& placed : arrays_) total += placed.array.bytes;
  if (total > kSharedDefault || offset + array.bytes + kSharedGap > kSharedArena) {
    blame(Fault::shared_size, "the kernel's __shared__ arrays take more than a block's 48 KiB",
          task_->where);
    abandon();
  }
  arrays_.push_back({array, offset});
  shared_used_ = offset + array.bytes;
  return shared_.data() + offset;
}

}  // namespace tinygpt::simt
