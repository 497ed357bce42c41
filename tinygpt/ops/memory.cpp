#include "tinygpt/ops/memory.h"

#include <cstring>
#include <new>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

constexpr std::align_val_t kAlignment{64};

void* allocate(std::size_t bytes) {
  void* data = ::operator new(bytes, kAlignment, std::nothrow);
  check(data != nullptr,
        "not enough memory for this model and batch: choose a smaller --batch, --context or model");
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

}  // namespace

Memory host_memory() { return {allocate, release, zero, copy, copy}; }

}  // namespace tinygpt
