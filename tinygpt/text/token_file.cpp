#include "tinygpt/text/token_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);

// What stands behind 'key': in the header, up to `end`.
std::string_view header_value(std::string_view header, std::string_view key, char end) {
  const auto at = header.find(key);
  if (at == std::string_view::npos) return {};
  const auto start = header.find_first_not_of(": ", at + key.size());
  if (start == std::string_view::npos) return {};
  const auto stop = header.find(end, start);
  return stop == std::string_view::npos ? std::string_view() : header.substr(start, stop - start);
}

}  // namespace

TokenFile::TokenFile(const std::filesystem::path& path, int vocab_size) : file_(path) {
  const auto bytes = file_.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto need = [&](bool ok, const char* what) {
    check(ok, [&] {
      return fmt::format("{}: {}; make the corpus again with tinygpt data", path.string(), what);
    });
  };
  need(text.size() >= 10 && text.substr(0, 8) == kMagic, "not a NumPy 1.0 array");
  const std::size_t length =
      static_cast<unsigned char>(text[8]) | std::size_t{static_cast<unsigned char>(text[9])} << 8;
  need(text.size() >= 10 + length && (10 + length) % 16 == 0,
       "its header is cut off or misaligned");
  const std::string_view header = text.substr(10, length);
  const std::string_view type = header_value(header, "'descr'", ',');
  need(type == "'<u2'" || type == "'<u4'", "not an array of uint16 or uint32");
  need(header_value(header, "'fortran_order'", ',') == "False", "in Fortran order");
  const std::string_view shape = header_value(header, "'shape'", ',');  // "(123" of "(123,)"
  std::uint64_t count = 0;
  const char* digits = shape.data() + 1;
  const char* end = shape.data() + shape.size();
  const bool read =
      shape.size() > 1 && shape.front() == '(' && std::from_chars(digits, end, count).ptr == end;
  need(read, "not one-dimensional");
  const std::size_t width = type == "'<u2'" ? 2 : 4;
  const std::size_t room = text.size() - 10 - length;
  need(count <= room / width && count * width == room, "its size disagrees with its header");
  const std::byte* data = bytes.data() + 10 + length;
  if (width == 2) narrow_ = reinterpret_cast<const std::uint16_t*>(data);
  else wide_ = reinterpret_cast<const std::uint32_t*>(data);
  count_ = static_cast<std::int64_t>(count);
  for (std::int64_t i = 0; i < count_; ++i) {
    const std::uint32_t id = wide_ ? wide_[i] : narrow_[i];
    check(id < static_cast<std::uint32_t>(vocab_size), [&] {
      return fmt::format(
          "{}: token {} is {}, but the vocabulary has {}: this file was made with "
          "another tokenizer",
          path.string(), i, id, vocab_size);
    });
  }
}

void write_token_file(const std::filesystem::path& path, std::span<const int> ids, int vocab_size) {
  const bool narrow = vocab_size <= 65536;
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}",
                                   narrow ? "<u2" : "<u4", ids.size());
  // The data starts at a multiple of 64; the header ends with a line feed.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  write_file_atomically(path, [&](const Sink& sink) {
    sink(kMagic.data(), kMagic.size());
    const unsigned char length[2] = {static_cast<unsigned char>(header.size() & 0xFF),
                                     static_cast<unsigned char>(header.size() >> 8)};
    sink(length, 2);
    sink(header.data(), header.size());
    constexpr std::size_t kBlock = 1 << 16;
    std::vector<std::uint16_t> small;
    std::vector<std::uint32_t> large;
    for (std::size_t i = 0; i < ids.size(); i += kBlock) {
      const auto block = ids.subspan(i, std::min(kBlock, ids.size() - i));
      if (narrow) {
        small.assign(block.begin(), block.end());
        sink(small.data(), small.size() * 2);
      } else {
        large.assign(block.begin(), block.end());
        sink(large.data(), large.size() * 4);
      }
    }
  });
}

}  // namespace tinygpt
