// The header of NumPy's array files, version 1.0: numpy.lib.format describes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tinygpt {

inline constexpr std::size_t kNpyHeaderBytes = 128;

// What the header of a one-dimensional little-endian array of uint16 or uint32 says.
struct NpyHeader {
  int width = 0;  // bytes of an element: 2 or 4
  std::uint64_t count = 0;
  std::size_t data_at = 0;  // offset of the first element
};

// Exactly kNpyHeaderBytes, so that a file's header can be written after its data.
std::string npy_header(int width, std::uint64_t count);

// Reads the header at the beginning of `file`, the whole file's bytes. Returns nothing where all is
// well, else what is wrong.
const char* parse_npy_header(NpyHeader& header, std::string_view file);

}  // namespace tinygpt
