#include "tinygpt/simt/shadow.h"

#include <algorithm>

namespace tinygpt::simt {
namespace {

std::size_t offset_in(const Allocation& allocation, const void* data) {
  return static_cast<std::size_t>(static_cast<const std::byte*>(data) - allocation.data);
}

void mark(Shadow& shadow, std::size_t begin, std::size_t end) {
  if (begin % shadow.granule || end % shadow.granule) refine(shadow, 1);
  Access host;
  host.epoch = kHostEpoch;
  const auto cell = shadow.cells.begin();
  std::fill(cell + static_cast<std::ptrdiff_t>(begin / shadow.granule),
            cell + static_cast<std::ptrdiff_t>(end / shadow.granule), Cell{host, {}});
}

// Adds [begin, end) to a set of ranges that neither touch nor overlap.
void add_range(std::map<std::size_t, std::size_t>& ranges, std::size_t begin, std::size_t end) {
  auto it = ranges.upper_bound(begin);
  if (it != ranges.begin() && std::prev(it)->second >= begin) --it;
  while (it != ranges.end() && it->first <= end) {
    begin = std::min(begin, it->first);
    end = std::max(end, it->second);
    it = ranges.erase(it);
  }
  ranges[begin] = end;
}

}  // namespace

const char* code_anchor() { return reinterpret_cast<const char*>(&code_anchor); }

void refine(Shadow& shadow, std::size_t granule) {
  if (granule >= shadow.granule) return;
  const std::size_t parts = shadow.granule / granule;
  std::vector<Cell> finer;
  finer.reserve(shadow.cells.size() * parts);
  for (const Cell& cell : shadow.cells) finer.insert(finer.end(), parts, cell);
  shadow.cells = std::move(finer);
  shadow.granule = granule;
}

Shadow& shadow_of(Allocation& allocation) {
  if (!allocation.shadow) {
    allocation.shadow = std::make_unique<Shadow>();
    Shadow& shadow = *allocation.shadow;
    shadow.cells.resize((allocation.bytes + shadow.granule - 1) / shadow.granule);
    for (const auto& [begin, end] : allocation.written) {
      // The last cell may reach over the end, where nobody may read anyway.
      mark(shadow, begin, end == allocation.bytes ? shadow.cells.size() * shadow.granule : end);
    }
    allocation.written.clear();
  }
  return *allocation.shadow;
}

void mark_written(Allocation& allocation, const void* data, std::size_t bytes) {
  const std::size_t begin = offset_in(allocation, data), end = begin + bytes;
  if (!allocation.shadow) return add_range(allocation.written, begin, end);
  Shadow& shadow = *allocation.shadow;
  mark(shadow, begin, end == allocation.bytes ? shadow.cells.size() * shadow.granule : end);
}

bool written(const Allocation& allocation, const void* data, std::size_t bytes) {
  if (device().unchecked_launches > allocation.trusted_before) return true;
  const std::size_t begin = offset_in(allocation, data), end = begin + bytes;
  if (allocation.shadow) {
    const Shadow& shadow = *allocation.shadow;
    const auto cell = shadow.cells.begin();
    return std::all_of(cell + static_cast<std::ptrdiff_t>(begin / shadow.granule),
                       cell + static_cast<std::ptrdiff_t>((end - 1) / shadow.granule + 1),
                       [](const Cell& c) { return c.write.epoch != 0; });
  }
  const auto after = allocation.written.upper_bound(begin);
  return after != allocation.written.begin() && std::prev(after)->second >= end;
}

}  // namespace tinygpt::simt
