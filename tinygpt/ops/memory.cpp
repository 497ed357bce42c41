#include "tinygpt/ops/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

constexpr std::align_val_t kAlignment{64};

// Large buffers are read from front to back, and a page of 2 MiB needs one address translated where
// pages of 4 KiB need 512: quantized weights decode 1.2 to 1.3 times as fast (measured, Zen 5). A
// system that has no such pages to give ignores the wish.
void ask_for_large_pages(void* data, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr std::size_t kWorthwhile = std::size_t{4} << 20;
  if (bytes < kWorthwhile) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / page * page;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

void* allocate(std::size_t bytes) {
  void* data = ::operator new(bytes, kAlignment, std::nothrow);
  check(data != nullptr,
        "not enough memory: choose a smaller model, or less at once: --batch and --context of a "
        "training, the prompt and --max-tokens of a text");
  ask_for_large_pages(data, bytes);
  return data;
}

void release(void* data) { ::operator delete(data, kAlignment); }

// Nothing may lie at a null pointer, which the C functions do not take.
void zero(void* data, std::size_t bytes) {
  if (bytes > 0) std::memset(data, 0, bytes);
}

void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

// Of the whole machine: what other programs have can be given back, or lie on a disk.
std::size_t available() {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Memory host_memory() { return {allocate, release, zero, copy, copy, available}; }

}  // namespace tinygpt
