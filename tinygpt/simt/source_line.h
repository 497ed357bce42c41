// From a code address to the line of the source that it was compiled from.
#pragma once

#include <string>
#include <vector>

namespace tinygpt::simt {

struct SourceLine {
  std::string file;
  int line = 0;
  bool operator==(const SourceLine&) const = default;
};

// The lines of return addresses: of the call before each. Where a function was inlined, the
// innermost line outside of the emulator's own headers. Asks addr2line, once per address.
std::vector<SourceLine> source_lines(const std::vector<const void*>& addresses);
SourceLine source_line(const void* address);

}  // namespace tinygpt::simt
