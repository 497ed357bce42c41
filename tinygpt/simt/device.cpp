#include "tinygpt/simt/device.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "tinygpt/core/error.h"
#include "tinygpt/simt/check.h"
#include "tinygpt/simt/limits.h"

namespace tinygpt::simt {

namespace {

const Limits& read_capability() {
  const char* text = std::getenv("TINYGPT_EMULATED_CAPABILITY");
  const std::string_view name = text != nullptr ? text : "8.6";
  check(name == "7.5" || name == "8.6", [&] {
    return fmt::format(
        "TINYGPT_EMULATED_CAPABILITY is '{}': the emulated device can have 7.5 or 8.6", name);
  });
  return name == "7.5" ? kTuring : kAmpere;
}

std::size_t read_memory() {
  const char* text = std::getenv("TINYGPT_EMULATED_MEMORY_MIB");
  if (text == nullptr) {
    return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
           static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
  std::size_t mib = 0;
  const std::string_view digits = text;
  const auto [stop, error] = std::from_chars(text, text + digits.size(), mib);
  check(error == std::errc() && *stop == '\0' && mib > 0 && mib < std::size_t{1} << 40, [&] {
    return fmt::format("TINYGPT_EMULATED_MEMORY_MIB is '{}': it must be a number of MiB", text);
  });
  return mib << 20;
}

}  // namespace

const Limits& limits() {
  static const Limits& the_limits = read_capability();
  return the_limits;
}

int emulated_capability() { return limits().capability; }

Device& device() {
  static Device the_device;
  static const bool ready = (the_device.limit = read_memory(), true);
  static_cast<void>(ready);
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
  if (value < 0 || static_cast<std::size_t>(value) > limits().shared_opt_in) {
    return device().last_error = cudaErrorInvalidValue;
  }
  device().dynamic_shared[function] = value;
  return cudaSuccess;
}

int blocks_per_multiprocessor(int block_size, std::size_t dynamic_shared) {
  if (block_size <= 0 || block_size > static_cast<int>(kMaxThreads)) return 0;
  int blocks = std::min(kBlocksMultiprocessor, limits().threads_multiprocessor / block_size);
  const std::size_t shared = dynamic_shared + 1024;  // which the system takes of each block
  return std::min(blocks, static_cast<int>(limits().shared_multiprocessor / shared));
}

}  // namespace tinygpt::simt
