#include "tinygpt/simt/device.h"

#include <unistd.h>

#include <algorithm>

#include "tinygpt/simt/check.h"
#include "tinygpt/simt/limits.h"

namespace tinygpt::simt {

Device& device() {
  static Device the_device;
  if (the_device.limit == 0) {
    the_device.limit = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
  return the_device;
}

Allocation* allocation_below(const void* address) {
  auto& allocations = device().allocations;
  auto after = allocations.upper_bound(static_cast<const std::byte*>(address));
  return after == allocations.begin() ? nullptr : &std::prev(after)->second;
}

void tell_of_unchecked_launch() {
  Device& d = device();
  if (!d.refused) return;
  Report report = *d.refused;
  const bool checked = d.refused_checked;
  d.refused.reset();
  if (!checked) return;  // run mode does as CUDA does, and goes on
  report.message = "the launch failed and its error was not asked for before its result was used";
  report.fault = Fault::unchecked_launch;
  deliver(report);
}

std::size_t allowed_dynamic_shared() {
  std::size_t largest = 0;
  for (const auto& [function, bytes] : device().dynamic_shared) {
    largest = std::max(largest, static_cast<std::size_t>(bytes));
  }
  return largest;
}

cudaError_t set_function_attribute(const void* function, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<std::size_t>(value) > kSharedOptIn) {
    return device().last_error = cudaErrorInvalidValue;
  }
  device().dynamic_shared[function] = value;
  return cudaSuccess;
}

int blocks_per_multiprocessor(int block_size, std::size_t dynamic_shared) {
  if (block_size <= 0 || block_size > static_cast<int>(kMaxThreads)) return 0;
  int blocks = std::min(kBlocksMultiprocessor, kThreadsMultiprocessor / block_size);
  const std::size_t shared = dynamic_shared + 1024;  // which the system takes of each block
  return std::min(blocks, static_cast<int>(kSharedMultiprocessor / shared));
}

}  // namespace tinygpt::simt
