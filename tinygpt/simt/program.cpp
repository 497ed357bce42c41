#include "tinygpt/simt/program.h"

#include <link.h>

#include <cstdint>
#include <vector>

// Made by the linker where a program has such a section.
extern "C" {
extern const char __start_simt_device[] __attribute__((weak));
extern const char __stop_simt_device[] __attribute__((weak));
}

namespace tinygpt::simt {
namespace {

struct Range {
  std::uintptr_t begin, end;
};

int add_constant_ranges(dl_phdr_info* info, std::size_t, void* ranges) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    const bool constant = part.p_type == PT_LOAD && !(part.p_flags & PF_W);
    if (!constant && part.p_type != PT_GNU_RELRO) continue;
    const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    static_cast<std::vector<Range>*>(ranges)->push_back({begin, begin + part.p_memsz});
  }
  return 0;
}

}  // namespace

bool is_constant(const void* address) {
  static const std::vector<Range> ranges = [] {
    std::vector<Range> found;
    dl_iterate_phdr(add_constant_ranges, &found);
    return found;
  }();
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const Range& range : ranges) {
    if (at >= range.begin && at < range.end) return true;
  }
  return false;
}

bool is_device_variable(const void* address) {
  const auto* const at = static_cast<const char*>(address);
  return __start_simt_device && at >= __start_simt_device && at < __stop_simt_device;
}

}  // namespace tinygpt::simt
