#include "tinygpt/simt/fiber.h"

#include <sys/mman.h>

#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/simt/limits.h"

namespace tinygpt::simt {
namespace {

#if defined(TINYGPT_SIMT_ASAN)
constexpr std::size_t kUsable = 256 << 10;  // red zones around every local variable
#else
constexpr std::size_t kUsable = 64 << 10;
#endif
// Seven cache lines more than a power of two: else the tops of all stacks would share one set of
// the first-level cache.
constexpr std::size_t kStride = kUsable + 7 * 64;
constexpr std::uint64_t kCanary = 0x7ead5eed5eed7eadULL;
constexpr int kStacks = static_cast<int>(kMaxThreads) + 1;

}  // namespace

Stacks::Stacks() : bytes_(kStride * kStacks) {
  void* mapping = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(mapping != MAP_FAILED, "emulator: no memory for the stacks of the CUDA threads");
  base_ = static_cast<std::byte*>(mapping);
  give_all();
}

Stacks::~Stacks() { munmap(base_, bytes_); }

void Stacks::give_all() {
  free_.clear();
  for (int stack = kStacks; stack-- > 0;) free_.push_back(stack);
}

int Stacks::take() {
  check(!free_.empty(), "emulator: more CUDA threads in flight than a block may have");
  const int stack = free_.back();
  free_.pop_back();
#if defined(TINYGPT_SIMT_ASAN)
  // Of frames that were left by a jump, or never left at all.
  __asan_unpoison_memory_region(bottom(stack), kUsable);
#endif
  *reinterpret_cast<std::uint64_t*>(bottom(stack)) = kCanary;
  return stack;
}

std::byte* Stacks::bottom(int stack) const {
  return base_ + static_cast<std::size_t>(stack) * kStride;
}
std::byte* Stacks::top(int stack) const { return bottom(stack) + kUsable; }

bool Stacks::intact(int stack) const {
  return *reinterpret_cast<const std::uint64_t*>(bottom(stack)) == kCanary;
}

}  // namespace tinygpt::simt
