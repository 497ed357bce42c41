// The emulated device: its memory, its errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "tinygpt/simt/host/runtime.h"
#include "tinygpt/simt/report.h"

namespace tinygpt::simt {

struct Shadow;  // shadow.h

// An access that runs over one allocation's end does not reach the next one's data.
inline constexpr std::size_t kRedZone = 1024;

// Device memory, with room around it in which nothing may be touched.
struct Allocation {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::byte* block = nullptr;                  // what the system gave, and gets back in the end
  bool freed = false;                          // kept for a while, to tell of uses after
  std::uint64_t trusted_before = 0;            // unchecked launches when it was made
  std::map<std::size_t, std::size_t> written;  // by the host, begin to end; until there is a shadow
  std::unique_ptr<Shadow> shadow;              // what the checker knows of each byte
  Allocation();
  ~Allocation();
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;
};

struct Device {
  std::mutex mutex;
  std::map<const std::byte*, Allocation> allocations;  // by their first byte
  std::size_t used = 0, limit = 0, freed_bytes = 0;
  std::uint64_t unchecked_launches = 0;  // they write memory without the checker's knowledge
  cudaError_t last_error = cudaSuccess;
  std::optional<Report> refused;  // the launch that was refused, until its error is asked for
  bool refused_checked = false;
  std::map<const void*, int> dynamic_shared;  // by function, what cudaFuncSetAttribute allowed
};

// The one device. Its memory is the machine's, or TINYGPT_EMULATED_MEMORY_MIB where that is set.
Device& device();

// The allocation nearest below an address, freed or not; nullptr when there is none. The caller
// holds the mutex, or runs kernels one after another.
Allocation* allocation_below(const void* address);

// Delivers the report of a refused launch whose error nobody asked for. Called where its result
// would be used: at the next launch, copy or synchronisation.
void tell_of_unchecked_launch();

// The largest dynamic shared memory that any kernel was allowed.
std::size_t allowed_dynamic_shared();

}  // namespace tinygpt::simt
