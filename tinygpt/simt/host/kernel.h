// What a kernel sees of its place in the grid, its shared memory and its barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

#include "tinygpt/simt/host/types.h"

namespace tinygpt::simt {

class BlockRunner;
class Checker;

// The running CUDA thread's registers that the hardware fills. One per CPU thread: the scheduler
// rewrites it whenever it goes from one CUDA thread to another.
struct Registers {
  uint3 thread_index{};
  uint3 block_index{};
  dim3 block_size;
  dim3 grid_size;
  unsigned linear = 0;          // thread_index as one number
  bool in_kernel = false;       // false while this CPU thread runs host code
  std::byte* shared = nullptr;  // the block's shared memory, dynamic part first
  BlockRunner* runner = nullptr;
  Checker* checker = nullptr;  // none in run mode
};
extern thread_local constinit Registers registers;

// Where a shared array lies in the block's shared memory. The first thread that comes by places it.
struct SharedArray {
  const void* key;  // one per declaration and template instance
  const char* name;
  std::size_t bytes, alignment;
};
void* place_shared_array(const SharedArray& array);

// `__shared__ float tile[32][33];` becomes `auto& tile = shared_array<float[32][33]>("tile",
// []{});`. The lambda's type tells two declarations of one type apart.
template <class Declaration>
inline constexpr char kSharedKey = 0;
template <class T, std::size_t Alignment = alignof(T), class Declaration>
TINYGPT_SIMT_INLINE T& shared_array(const char* name, Declaration) {
  const SharedArray array{&kSharedKey<Declaration>, name, sizeof(T), Alignment};
  return *static_cast<T*>(place_shared_array(array));
}

// `extern __shared__ float x[];` becomes `auto& x = dynamic_shared<float[]>();`.
template <class T>
TINYGPT_SIMT_INLINE T& dynamic_shared() {
  return *reinterpret_cast<T*>(registers.shared);
}

enum class BarrierKind { plain, count, all, any };
int barrier(BarrierKind kind, int predicate, std::source_location where);

}  // namespace tinygpt::simt

#define threadIdx (::tinygpt::simt::registers.thread_index)
#define blockIdx (::tinygpt::simt::registers.block_index)
#define blockDim (::tinygpt::simt::registers.block_size)
#define gridDim (::tinygpt::simt::registers.grid_size)
inline constexpr int warpSize = 32;

TINYGPT_SIMT_INLINE void __syncthreads(
    std::source_location where = std::source_location::current()) {
  tinygpt::simt::barrier(tinygpt::simt::BarrierKind::plain, 0, where);
}
TINYGPT_SIMT_INLINE int __syncthreads_count(
    int predicate, std::source_location where = std::source_location::current()) {
  return tinygpt::simt::barrier(tinygpt::simt::BarrierKind::count, predicate, where);
}
TINYGPT_SIMT_INLINE int __syncthreads_and(
    int predicate, std::source_location where = std::source_location::current()) {
  return tinygpt::simt::barrier(tinygpt::simt::BarrierKind::all, predicate, where);
}
TINYGPT_SIMT_INLINE int __syncthreads_or(
    int predicate, std::source_location where = std::source_location::current()) {
  return tinygpt::simt::barrier(tinygpt::simt::BarrierKind::any, predicate, where);
}

// The emulator's memory is sequentially consistent: fences have nothing to do.
TINYGPT_SIMT_INLINE void __threadfence() {}
TINYGPT_SIMT_INLINE void __threadfence_block() {}
