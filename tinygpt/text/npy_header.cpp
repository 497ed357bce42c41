#include "tinygpt/text/npy_header.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace tinygpt {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);

// Reads a Python dictionary from left to right; every take_ says whether it found what it names.
struct Reader {
  std::string_view text;

  void skip_spaces() {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  bool take(std::string_view part) {
    skip_spaces();
    if (text.substr(0, part.size()) != part) return false;
    text.remove_prefix(part.size());
    return true;
  }
  bool take_string(std::string_view& value) {
    if (!take("'")) return false;
    const auto end = text.find('\'');
    if (end == std::string_view::npos) return false;
    value = text.substr(0, end);
    text.remove_prefix(end + 1);
    return true;
  }
  bool take_number(std::uint64_t& value) {
    skip_spaces();
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    return true;
  }
};

const char* parse_entries(NpyHeader& header, Reader reader) {
  bool has_type = false, has_order = false, has_shape = false;
  if (!reader.take("{")) return "its header is no dictionary";
  while (!reader.take("}")) {
    std::string_view key, type;
    if (!reader.take_string(key) || !reader.take(":")) return "its header is no dictionary";
    if (key == "descr" && !has_type) {
      has_type = reader.take_string(type) && (type == "<u2" || type == "<u4");
      if (!has_type) return "not an array of little-endian uint16 or uint32";
      header.width = type == "<u2" ? 2 : 4;
    } else if (key == "fortran_order" && !has_order) {
      has_order = reader.take("False");
      if (!has_order) return "in Fortran order";
    } else if (key == "shape" && !has_shape) {
      has_shape = reader.take("(") && reader.take_number(header.count) && reader.take(",") &&
                  reader.take(")");
      if (!has_shape) return "not one-dimensional";
    } else {
      return "its header has an entry too many";
    }
    if (!reader.take(",") && reader.text.substr(0, 1) != "}") return "its header is no dictionary";
  }
  if (!has_type || !has_order || !has_shape) return "its header lacks an entry";
  reader.skip_spaces();
  return reader.text == "\n" ? nullptr : "its header does not end with a line feed";
}

}  // namespace

std::string npy_header(int width, std::uint64_t count) {
  std::string header(kMagic);
  constexpr std::size_t kRest = kNpyHeaderBytes - 10;
  static_assert(kRest < 256);
  header += static_cast<char>(kRest);  // its length in two bytes, the lower one first
  header += '\0';
  header +=
      fmt::format("{{'descr': '<u{}', 'fortran_order': False, 'shape': ({},), }}", width, count);
  header.append(kNpyHeaderBytes - 1 - header.size(), ' ');
  header += '\n';
  return header;
}

const char* parse_npy_header(NpyHeader& header, std::string_view file) {
  if (file.size() < 10 || file.substr(0, 8) != kMagic) return "not a NumPy 1.0 array";
  const std::size_t length =
      static_cast<unsigned char>(file[8]) | std::size_t{static_cast<unsigned char>(file[9])} << 8;
  if (file.size() - 10 < length) return "its header is cut off";
  header.data_at = 10 + length;
  if (header.data_at % 16 != 0) return "its header is misaligned";
  if (const char* wrong = parse_entries(header, {file.substr(10, length)})) return wrong;
  const std::uint64_t room = file.size() - header.data_at;
  const auto width = static_cast<std::uint64_t>(header.width);
  const bool agrees = header.count <= room / width && header.count * width == room;
  return agrees ? nullptr : "its size disagrees with its header";
}

}  // namespace tinygpt
