// What is known of every byte of device memory: whether it was written, by whom it was last
// written and read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinygpt/simt/device.h"

namespace tinygpt::simt {

// One access by one thread. `epoch` tells launches apart (for shared memory: runs of a block), and
// 0 is no access at all.
struct Access {
  std::uint32_t epoch = 0;
  std::uint32_t block = 0;
  std::uint16_t thread = 0;
  bool atomic = false;
  bool in_flight = false;      // an asynchronous copy that was not waited for yet
  std::uint32_t interval = 0;  // barriers of the block before it
  std::uint32_t clock = 0;     // __syncwarps of the thread before it
  std::int32_t site = 0;       // code address, from code_anchor()
};

inline constexpr std::uint32_t kHostEpoch = 1;  // written by the host, or by a copy

// Two readers suffice: whoever writes is not the same thread as one of them.
struct Cell {
  Access write, read[2];
};

// A cell for every `granule` bytes: four, until a kernel touches less than that at once.
struct Shadow {
  std::size_t granule = 4;
  std::vector<Cell> cells;
};

// Makes cells for granules of that many bytes, with what the larger ones knew.
void refine(Shadow& shadow, std::size_t granule);

// The shadow of an allocation, made when it is first asked for.
Shadow& shadow_of(Allocation& allocation);

// The host wrote, or a copy did.
void mark_written(Allocation& allocation, const void* data, std::size_t bytes);
// Whether all of it was written by someone, or may have been by a kernel that was not checked.
bool written(const Allocation& allocation, const void* data, std::size_t bytes);

// Code addresses are kept as 32-bit distances from here.
const char* code_anchor();

}  // namespace tinygpt::simt
