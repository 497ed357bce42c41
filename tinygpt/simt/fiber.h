// Stacks to run CUDA threads on, and the jump from one to another.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define TINYGPT_SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TINYGPT_SIMT_ASAN 1
#endif
#endif
#if defined(TINYGPT_SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace tinygpt::simt {

using Context = boost::context::detail::fcontext_t;
using Transfer = boost::context::detail::transfer_t;

// One mapping cut into stacks. Pages are taken from the system when they are first touched.
class Stacks {
 public:
  Stacks();
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  int take();
  void give(int stack) { free_.push_back(stack); }
  void give_all();
  std::byte* bottom(int stack) const;
  std::byte* top(int stack) const;
  // Whether its lowest bytes still hold what was written there when it was taken.
  bool intact(int stack) const;
  bool contains(const void* address) const {
    return static_cast<std::size_t>(static_cast<const std::byte*>(address) - base_) < bytes_;
  }

 private:
  std::byte* base_;
  std::size_t bytes_;
  std::vector<int> free_;
};

// The address sanitizer has to be told of every change of stack.
struct StackNote {
  void* fake = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;
};
inline void before_jump([[maybe_unused]] StackNote* from, [[maybe_unused]] const StackNote& to) {
#if defined(TINYGPT_SIMT_ASAN)
  __sanitizer_start_switch_fiber(from ? &from->fake : nullptr, to.bottom, to.size);
#endif
}
inline void after_jump([[maybe_unused]] StackNote& here, [[maybe_unused]] StackNote* previous) {
#if defined(TINYGPT_SIMT_ASAN)
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(here.fake, &bottom, &size);
  if (previous) previous->bottom = bottom, previous->size = size;
#endif
}

}  // namespace tinygpt::simt
