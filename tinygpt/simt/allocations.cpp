// cudaMalloc, cudaFree, cudaMemcpy and cudaMemset, with red zones and a memory of what was freed.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "tinygpt/simt/check.h"
#include "tinygpt/simt/device.h"
#include "tinygpt/simt/host/runtime.h"
#include "tinygpt/simt/shadow.h"

namespace tinygpt::simt {
namespace {

constexpr std::size_t kAlignment = 256;  // cudaMalloc's own
// Freed memory is kept, so that a use of it is seen, until there is this much of it.
constexpr std::size_t kKeepFreed = 64 << 20;

void forget_freed(Device& d) {
  for (auto it = d.allocations.begin(); it != d.allocations.end() && d.freed_bytes > kKeepFreed;) {
    if (!it->second.freed) {
      ++it;
      continue;
    }
    d.freed_bytes -= it->second.bytes;
    it = d.allocations.erase(it);
  }
}

Report host_report(Fault fault, const std::string& message, std::source_location where) {
  Report report;
  report.fault = fault;
  report.message = message;
  report.at = {where.file_name(), static_cast<int>(where.line()), {}, {}};
  return report;
}

// Whether [data, data + bytes) lies in one allocation; a range that only starts in one is a fault.
Allocation* allocation_of(const void* data, std::size_t bytes, bool* bad) {
  Allocation* const found = allocation_below(data);
  *bad = false;
  if (!found) return nullptr;
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(data) - found->data);
  if (offset >= found->bytes + (found->bytes == 0)) return nullptr;
  *bad = found->freed || bytes > found->bytes - offset;
  return found;
}

struct Sides {
  Allocation *to, *from;
};

// Finds the device memory of a copy; nullptr sides are the host's.
cudaError_t find_sides(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                       Sides* sides) {
  bool bad_to = false, bad_from = false;
  sides->to = allocation_of(to, bytes, &bad_to);
  sides->from = from ? allocation_of(from, bytes, &bad_from) : nullptr;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (bad_to || bad_from || (to_device && !sides->to) || (from_device && !sides->from)) {
    return cudaErrorInvalidValue;
  }
  if (kind != cudaMemcpyDefault && ((!to_device && sides->to) || (!from_device && sides->from))) {
    return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

}  // namespace

Allocation::Allocation() = default;
Allocation::~Allocation() { ::operator delete (block, std::align_val_t{kAlignment}); }

}  // namespace tinygpt::simt

using namespace tinygpt::simt;

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  Device& d = device();
  const std::scoped_lock lock(d.mutex);
  *data = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (bytes > d.limit - std::min(d.limit, d.used)) return d.last_error = cudaErrorMemoryAllocation;
  void* block = ::operator new (bytes + 2 * kRedZone, std::align_val_t{kAlignment}, std::nothrow);
  if (!block) return d.last_error = cudaErrorMemoryAllocation;
  std::byte* const first = static_cast<std::byte*>(block) + kRedZone;
  Allocation& allocation = d.allocations[first];
  allocation.data = first;
  allocation.bytes = bytes;
  allocation.block = static_cast<std::byte*>(block);
  allocation.trusted_before = d.unchecked_launches;
  d.used += bytes;
  *data = first;
  return cudaSuccess;
}

cudaError_t cudaFree(void* data, std::source_location where) {
  if (!data) return cudaSuccess;
  Device& d = device();
  const std::scoped_lock lock(d.mutex);
  const auto found = d.allocations.find(static_cast<std::byte*>(data));
  if (found == d.allocations.end()) {
    deliver(host_report(Fault::double_free, "cudaFree of what cudaMalloc did not give", where));
    return d.last_error = cudaErrorInvalidValue;
  }
  if (found->second.freed) {
    deliver(host_report(Fault::double_free, "cudaFree of memory that is free already", where));
    return d.last_error = cudaErrorInvalidValue;
  }
  found->second.freed = true;
  found->second.shadow.reset();
  d.used -= found->second.bytes;
  d.freed_bytes += found->second.bytes;
  forget_freed(d);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                       std::source_location where) {
  tell_of_unchecked_launch();
  if (bytes == 0) return cudaSuccess;
  Device& d = device();
  const std::scoped_lock lock(d.mutex);
  Sides sides{};
  const cudaError_t error = find_sides(to, from, bytes, kind, &sides);
  if (error != cudaSuccess) return d.last_error = error;
  if (sides.from && !written(*sides.from, from, bytes)) {
    deliver(
        host_report(Fault::uninitialised, "cudaMemcpy from device memory never written", where));
  }
  std::memmove(to, from, bytes);
  if (sides.to) mark_written(*sides.to, to, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemset(void* data, int value, std::size_t bytes, std::source_location) {
  tell_of_unchecked_launch();
  if (bytes == 0) return cudaSuccess;
  Device& d = device();
  const std::scoped_lock lock(d.mutex);
  bool bad = false;
  Allocation* const allocation = allocation_of(data, bytes, &bad);
  if (!allocation || bad) return d.last_error = cudaErrorInvalidValue;
  std::memset(data, value, bytes);
  mark_written(*allocation, data, bytes);
  return cudaSuccess;
}
