#include "tinygpt/text/token_file.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "tinygpt/core/error.h"
#include "tinygpt/text/npy_header.h"

namespace tinygpt {
namespace {

constexpr std::size_t kPendingBytes = 1 << 20;

// The index of the first id that is not below vocab_size, or count. Blocks are first tried whole,
// which the compiler makes into vectors.
template <class Id>
std::int64_t first_out_of_range(const Id* ids, std::int64_t count, std::uint32_t vocab_size) {
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t at = 0; at < count; at += kBlock) {
    const std::int64_t end = std::min(count, at + kBlock);
    Id most = 0;
    for (std::int64_t i = at; i < end; ++i) most = std::max(most, ids[i]);
    if (most < vocab_size) continue;
    return std::find_if(ids + at, ids + end, [&](Id id) { return id >= vocab_size; }) - ids;
  }
  return count;
}

}  // namespace

TokenFile::TokenFile(const std::filesystem::path& path, int vocab_size) : file_(path) {
  const auto bytes = file_.bytes();
  NpyHeader header;
  const char* wrong =
      parse_npy_header(header, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  check(wrong == nullptr, [&] {
    return fmt::format("{}: {}; make the corpus again with tinygpt data", path.string(), wrong);
  });
  // A map starts at a page and the data at a multiple of 16, so it is aligned.
  const std::byte* data = bytes.data() + header.data_at;
  if (header.width == 2) narrow_ = reinterpret_cast<const std::uint16_t*>(data);
  else wide_ = reinterpret_cast<const std::uint32_t*>(data);
  count_ = static_cast<std::int64_t>(header.count);
  const auto limit = static_cast<std::uint32_t>(vocab_size);
  const std::int64_t bad =
      wide_ ? first_out_of_range(wide_, count_, limit) : first_out_of_range(narrow_, count_, limit);
  check(bad == count_, [&] {
    return fmt::format(
        "{}: token {} is {}, but the vocabulary has {}: this file was made with another tokenizer",
        path.string(), bad, wide_ ? wide_[bad] : narrow_[bad], vocab_size);
  });
}

TokenFileWriter::TokenFileWriter(const std::filesystem::path& path, int vocab_size)
    : path_(path), width_(vocab_size <= 65536 ? 2 : 4) {
  temporary_ = path.string() + ".tmp-XXXXXX";
  file_ = ::mkstemp(temporary_.data());
  check(file_ >= 0, [&] {
    return fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno));
  });
  ::fchmod(file_, 0644);
  pending_.assign(kNpyHeaderBytes, '\0');  // written last, when the count is known
}

TokenFileWriter::~TokenFileWriter() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_.c_str());
}

void TokenFileWriter::append(std::span<const int> ids) {
  for (const int id : ids) {
    const auto value = static_cast<std::uint32_t>(id);
    for (int byte = 0; byte < width_; ++byte) {
      pending_ += static_cast<char>(value >> (8 * byte));
    }
    if (pending_.size() >= kPendingBytes) flush();
  }
  count_ += static_cast<std::int64_t>(ids.size());
}

void TokenFileWriter::flush() {
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const ssize_t n = ::write(file_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    check(n > 0, [&] {
      return fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno));
    });
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  pending_.clear();
}

void TokenFileWriter::finish() {
  flush();
  const std::string header = npy_header(width_, static_cast<std::uint64_t>(count_));
  const bool ok =
      ::pwrite(file_, header.data(), header.size(), 0) == static_cast<ssize_t>(header.size()) &&
      ::fsync(file_) == 0 && ::rename(temporary_.c_str(), path_.c_str()) == 0;
  check(ok, [&] {
    return fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno));
  });
  ::close(file_);
  file_ = -1;
  sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

void write_token_file(const std::filesystem::path& path, std::span<const int> ids, int vocab_size) {
  TokenFileWriter writer(path, vocab_size);
  writer.append(ids);
  writer.finish();
}

}  // namespace tinygpt
