#include "tinygpt/simt/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::simt {
namespace {

double ratio(std::uint64_t a, std::uint64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

std::string row(const std::string& where, const LineProfile& p) {
  return fmt::format("{:<32} {:>10} {:>10} {:>9} {:>8.1f} {:>10} {:>8.2f} {:>6} {:>9}\n", where,
                     p.loads, p.stores, p.requests, ratio(p.sectors, p.requests), p.shared_requests,
                     ratio(p.shared_turns, p.shared_ideal), p.worst_conflict, p.divergent);
}

}  // namespace

const KernelProfile& kernel_profile(const Profiling& profiling, const std::string& name) {
  const auto found =
      std::find_if(profiling.kernels.begin(), profiling.kernels.end(),
                   [&](const KernelProfile& p) { return p.kernel.rfind(name, 0) == 0; });
  check(found != profiling.kernels.end(),
        [&] { return fmt::format("profile: no checked launch of {}", name); });
  return *found;
}

Roofline roofline(const KernelProfile& profile, double flops, const Roof& roof) {
  const double bytes = 32.0 * static_cast<double>(profile.total.sectors);
  return {bytes / roof.bytes_per_second,
          static_cast<double>(profile.total.shared_turns) / roof.turns_per_second,
          flops / roof.flops_per_second, bytes > 0 ? flops / bytes : 0};
}

std::string table(const KernelProfile& profile, double flops, const Roof& roof) {
  std::string text = fmt::format(
      "{}: {} launches, {} blocks, {} threads, {} barriers, {} bytes of shared memory a block\n",
      profile.kernel, profile.launches, profile.blocks, profile.threads, profile.barriers,
      profile.shared_bytes);
  text +=
      fmt::format("{:<32} {:>10} {:>10} {:>9} {:>8} {:>10} {:>8} {:>6} {:>9}\n", "line", "loads",
                  "stores", "requests", "sectors", "shared", "turns", "banks", "divergent");
  for (const LineProfile& line : profile.lines) {
    const std::string file = line.file.substr(line.file.rfind('/') + 1);
    text += row(fmt::format("{}:{}", file, line.line), line);
  }
  text += row("total", profile.total);
  const Roofline bound = roofline(profile, flops, roof);
  text += fmt::format("at least {:.1f} us for global memory, {:.1f} us for shared memory",
                      bound.memory_seconds * 1e6, bound.shared_seconds * 1e6);
  if (flops > 0) {
    text += fmt::format(", {:.1f} us for arithmetic ({:.2f} flops a byte)",
                        bound.arithmetic_seconds * 1e6, bound.flops_per_byte);
  }
  return text + "\n";
}

}  // namespace tinygpt::simt
