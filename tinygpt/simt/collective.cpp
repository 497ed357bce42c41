// What the lanes of a warp do together, and what is said when some of them never come.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "tinygpt/simt/block.h"
#include "tinygpt/simt/checker.h"

namespace tinygpt::simt {
namespace {

std::uint64_t reduce(Collective kind, std::uint64_t a, std::uint64_t b) {
  const auto x = static_cast<std::uint32_t>(a), y = static_cast<std::uint32_t>(b);
  const auto signed_x = static_cast<std::int32_t>(x), signed_y = static_cast<std::int32_t>(y);
  switch (kind) {
    case Collective::add:
      return x + y;
    case Collective::minimum:
      return std::min(x, y);
    case Collective::maximum:
      return std::max(x, y);
    case Collective::minimum_signed:
      return static_cast<std::uint32_t>(std::min(signed_x, signed_y));
    case Collective::maximum_signed:
      return static_cast<std::uint32_t>(std::max(signed_x, signed_y));
    case Collective::bit_and:
      return x & y;
    case Collective::bit_or:
      return x | y;
    default:
      return x ^ y;
  }
}

// Calls visit(lane) for every lane of the mask.
template <class Visit>
void for_each_lane(unsigned mask, Visit&& visit) {
  for (; mask; mask &= mask - 1) visit(std::countr_zero(mask));
}

void give_results(Collective kind, unsigned mask, ThreadState* lanes) {
  if (kind == Collective::sync || kind == Collective::call) return;
  if (kind == Collective::shuffle) {
    for_each_lane(mask, [&](int lane) { lanes[lane].result = lanes[lanes[lane].source].value; });
    return;
  }
  if (kind == Collective::match) {
    for_each_lane(mask, [&](int lane) {
      lanes[lane].result = 0;
      for_each_lane(mask, [&](int other) {
        if (lanes[other].value == lanes[lane].value) lanes[lane].result |= 1u << other;
      });
    });
    return;
  }
  std::uint64_t result = 0;
  if (kind == Collective::ballot) {
    for_each_lane(mask, [&](int lane) { result |= lanes[lane].value << lane; });
  } else {
    const unsigned first = mask & -mask;
    result = lanes[std::countr_zero(mask)].value;
    for_each_lane(mask & ~first,
                  [&](int lane) { result = reduce(kind, result, lanes[lane].value); });
  }
  for_each_lane(mask, [&](int lane) { lanes[lane].result = result; });
}

}  // namespace

std::uint64_t BlockRunner::collective(Collective kind, unsigned mask, std::uint64_t value,
                                      int source, std::source_location where) {
  ThreadState& self = *current_;
  const unsigned warp = self.linear / 32, bit = 1u << self.linear % 32;
  self.value = value;
  self.source = source;
  self.mask = mask;
  self.where = where;
  if (!(mask & bit)) {
    blame(
        Fault::wrong_mask,
        fmt::format("the mask {:#010x} does not name the calling lane {}", mask, self.linear % 32),
        where);
    abandon();
  }
  if (kind == Collective::shuffle && !(mask >> source & 1)) {
    blame(Fault::absent_lane,
          fmt::format("the shuffle reads lane {}, which its mask {:#010x} does not name", source,
                      mask),
          where);
    abandon();
  }
  auto& pending = pending_[warp];
  auto same = std::find_if(pending.begin(), pending.end(),
                           [&](const Pending& other) { return other.mask == mask; });
  if (same == pending.end()) same = pending.insert(pending.end(), {kind, mask, 0});
  if (same->kind != kind) {
    blame(Fault::wrong_mask, "lanes of one mask are at different collective operations", where);
    abandon();
  }
  same->arrived |= bit;
  if (same->arrived == mask) {
    const Pending complete_now = *same;
    pending.erase(same);
    complete(complete_now, warp);
  } else {
    self.state = State::in_collective;
    park(self);
  }
  return self.result;
}

void BlockRunner::warp_call(WarpFunction* function, void* mine, std::source_location where) {
  const auto address = reinterpret_cast<std::uint64_t>(mine);
  current_->function = function;
  collective(Collective::call, 0xffffffffu, address, 0, where);
}

void BlockRunner::complete(Pending pending, unsigned warp) {
  ThreadState* const lanes = &threads_[warp * 32];
  give_results(pending.kind, pending.mask, lanes);
  if (pending.kind == Collective::call) {
    void* brought[32];
    for (int lane = 0; lane < 32; ++lane) {
      brought[lane] = reinterpret_cast<void*>(lanes[lane].value);
      if (lanes[lane].function != current_->function) {
        blame(Fault::wrong_mask, "lanes of one warp are at different matrix instructions",
              current_->where);
        abandon();
      }
    }
    current_->function(brought);
  }
  const unsigned self = current_->linear % 32;
  for_each_lane(pending.mask & ~(1u << self), [&](int lane) { make_ready(lanes[lane]); });
  if (checker_ && pending.kind == Collective::sync) checker_->warp_synced(warp, pending.mask);
}

// The threads of this warp that are where they could run: none that waits elsewhere.
unsigned BlockRunner::active_mask() const {
  const std::size_t first = current_->linear / 32 * 32;
  unsigned mask = 0;
  for (std::size_t i = first; i < std::min(first + 32, threads_.size()); ++i) {
    const State state = threads_[i].state;
    if (state != State::done && state != State::at_barrier && state != State::in_collective) {
      mask |= 1u << (i - first);
    }
  }
  return mask;
}

// All that are left wait, and a barrier would have let them go: someone waits for a lane that will
// not come.
Report BlockRunner::explain_deadlock() {
  for (ThreadState& thread : threads_) {
    if (thread.state != State::in_collective) continue;
    const std::size_t first = thread.linear / 32 * 32;
    Fault kind = Fault::absent_lane;
    std::string why;
    for_each_lane(thread.mask, [&](int lane) {
      const std::size_t i = first + static_cast<std::size_t>(lane);
      if (!why.empty()) return;
      if (i >= threads_.size()) {
        why = fmt::format("lane {}, which the block does not have", lane);
      } else if (threads_[i].state == State::done) {
        why = fmt::format("lane {}, which has returned", lane);
      } else if (threads_[i].state == State::at_barrier) {
        why = fmt::format("lane {}, which waits at the barrier of line {}", lane,
                          threads_[i].where.line());
      } else if (threads_[i].mask != thread.mask) {
        kind = Fault::wrong_mask;
        why = fmt::format("lane {}, which waits in line {} with the mask {:#010x}", lane,
                          threads_[i].where.line(), threads_[i].mask);
      }
    });
    registers.thread_index = thread.index;
    return here(kind, fmt::format("the mask {:#010x} names {}", thread.mask, why), thread.where);
  }
  return here(Fault::absent_lane, "the block's threads wait for each other", task_->where);
}

}  // namespace tinygpt::simt
