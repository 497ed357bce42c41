#include "tinygpt/ops/memory.h"

#include <unistd.h>

#include <cstring>
#include <new>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

constexpr std::align_val_t kAlignment{64};

void* allocate(std::size_t bytes) {
  void* data = ::operator new(bytes, kAlignment, std::nothrow);
  check(data != nullptr,
        "not enough memory: choose a smaller model, or less at once: --batch and --context of a "
        "training, the prompt and --max-tokens of a text");
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
