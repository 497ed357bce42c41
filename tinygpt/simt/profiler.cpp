#include "tinygpt/simt/profiler.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>

#include "tinygpt/simt/source_line.h"

namespace tinygpt::simt {
namespace {

// Like Checking, the profile under way belongs to the one emulated device.
Profiling*& current() {
  static Profiling* the_current = nullptr;
  return the_current;
}

void add(LineProfile& sum, const LineProfile& p) {
  sum.loads += p.loads;
  sum.stores += p.stores;
  sum.requests += p.requests;
  sum.sectors += p.sectors;
  sum.bytes_loaded += p.bytes_loaded;
  sum.bytes_stored += p.bytes_stored;
  sum.shared_requests += p.shared_requests;
  sum.shared_turns += p.shared_turns;
  sum.shared_ideal += p.shared_ideal;
  sum.worst_conflict = std::max(sum.worst_conflict, p.worst_conflict);
  sum.divergent += p.divergent;
}

void keep_different(std::vector<std::uintptr_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// The different words that the busiest bank is asked for. 32 banks, each four bytes wide.
unsigned busiest_bank(std::vector<std::uintptr_t>& words) {
  keep_different(words);
  std::array<unsigned, 32> banks{};
  for (std::uintptr_t word : words) ++banks[word % 32];
  return *std::max_element(banks.begin(), banks.end());
}

}  // namespace

Profiling* current_profiling() { return current(); }
Profiling::Profiling() : outer_(current()) { current() = this; }
Profiling::~Profiling() { current() = outer_; }

Profiler::Profiler(const Task& task, Profiling& profiling) : task_(task), profiling_(profiling) {
  warps_.resize((task.block.x * task.block.y * task.block.z + 31) / 32);
  profile_.kernel = task.kernel;
  profile_.launches = 1;
}

void Profiler::block_begins(const BlockRunner& runner) {
  ++profile_.blocks;
  profile_.threads += runner.threads().size();
}

void Profiler::barrier_completed(const BlockRunner&) {
  ++profile_.barriers;
  count_open();
}

void Profiler::block_ends(const BlockRunner& runner) {
  count_open();
  profile_.shared_bytes = std::max<std::uint64_t>(profile_.shared_bytes, runner.shared_bytes());
}

void Profiler::access(const BlockRunner&, const Touch& touch, bool shared) {
  if (touch.kind == AccessKind::copy_ends) return;  // counted when it began
  LineProfile& line = by_address_[touch.where];
  if (touch.kind == AccessKind::read || touch.kind == AccessKind::atomic) {
    ++line.loads;
    if (!shared) line.bytes_loaded += touch.bytes;
  }
  if (touch.kind != AccessKind::read) {
    ++line.stores;
    if (!shared) line.bytes_stored += touch.bytes;
  }
  const unsigned warp = registers.linear / 32, lane = registers.linear % 32;
  Stream& stream = warps_[warp][touch.where];
  stream.shared = shared;
  stream.bytes = touch.bytes;
  const std::uint64_t visit = stream.visits[lane]++ - stream.complete;
  if (visit >= stream.open.size()) stream.open.resize(visit + 1);
  Request& request = stream.open[visit];
  request.mask |= 1u << lane;
  request.address[lane] = reinterpret_cast<std::uintptr_t>(touch.address);
  while (!stream.open.empty() && stream.open.front().mask == 0xffffffffu) {
    count(touch.where, stream, stream.open.front(), warp);
    stream.open.pop_front();
    ++stream.complete;
  }
}

void Profiler::count_open() {
  for (unsigned warp = 0; warp < warps_.size(); ++warp) {
    for (auto& [where, stream] : warps_[warp]) {
      for (const Request& request : stream.open) count(where, stream, request, warp);
    }
    warps_[warp].clear();
  }
}

void Profiler::count(const void* where, const Stream& stream, const Request& request,
                     unsigned warp) {
  LineProfile& line = by_address_[where];
  const unsigned threads = task_.block.x * task_.block.y * task_.block.z;
  const unsigned lanes = std::min(32u, threads - warp * 32);
  if (std::popcount(request.mask) < static_cast<int>(lanes)) ++line.divergent;
  std::vector<std::uintptr_t> units;
  if (!stream.shared) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if (!(request.mask >> lane & 1)) continue;
      const std::uintptr_t end = request.address[lane] + stream.bytes;
      for (std::uintptr_t s = request.address[lane] / 32; s * 32 < end; ++s) units.push_back(s);
    }
    keep_different(units);
    ++line.requests;
    line.sectors += units.size();
    return;
  }
  // 32 lanes of four bytes fill all banks at once; of eight bytes, half of the lanes do.
  const auto words = static_cast<unsigned>(std::max<std::size_t>(1, (stream.bytes + 3) / 4));
  const unsigned together = std::max(1u, 32 / words);
  ++line.shared_requests;
  for (unsigned first = 0; first < 32; first += together) {
    units.clear();
    for (unsigned lane = first; lane < first + together; ++lane) {
      if (!(request.mask >> lane & 1)) continue;
      for (unsigned w = 0; w < words; ++w) units.push_back(request.address[lane] / 4 + w);
    }
    if (units.empty()) continue;
    const unsigned turns = busiest_bank(units);
    line.shared_turns += turns;
    ++line.shared_ideal;
    line.worst_conflict = std::max(line.worst_conflict, turns);
  }
}

// Adds this launch to those of the same kernel.
void Profiler::finish() {
  std::vector<const void*> addresses;
  for (const auto& [address, line] : by_address_) addresses.push_back(address);
  const std::vector<SourceLine> where = source_lines(addresses);
  auto& kernels = profiling_.kernels;
  auto found = std::find_if(kernels.begin(), kernels.end(),
                            [&](const KernelProfile& p) { return p.kernel == profile_.kernel; });
  if (found == kernels.end()) {
    found = kernels.insert(kernels.end(), KernelProfile{});
    found->kernel = profile_.kernel;
  }
  found->launches += 1;
  found->blocks += profile_.blocks;
  found->threads += profile_.threads;
  found->barriers += profile_.barriers;
  found->shared_bytes = std::max(found->shared_bytes, profile_.shared_bytes);
  std::map<std::pair<std::string, int>, LineProfile> lines;
  for (const LineProfile& line : found->lines) lines[{line.file, line.line}] = line;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const LineProfile& counted = by_address_[addresses[i]];
    LineProfile& line = lines[{where[i].file, where[i].line}];
    line.file = where[i].file;
    line.line = where[i].line;
    add(line, counted);
    add(found->total, counted);
  }
  found->lines.clear();
  for (const auto& [key, line] : lines) found->lines.push_back(line);
}

}  // namespace tinygpt::simt
