// Files of token ids: one-dimensional NumPy arrays of uint16 or uint32, mapped into memory, which
// numpy.load opens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "tinygpt/core/file.h"

namespace tinygpt {

class TokenFile {
 public:
  // Maps the file. Throws Error, naming it, unless it is a one-dimensional little-endian array of
  // uint16 or uint32 whose size agrees with its header and whose ids are all below vocab_size.
  TokenFile(const std::filesystem::path& path, int vocab_size);

  std::int64_t size() const { return count_; }
  int operator[](std::int64_t i) const {
    return wide_ ? static_cast<int>(wide_[i]) : static_cast<int>(narrow_[i]);
  }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  const std::uint16_t* narrow_ = nullptr;  // one of the two is set
  const std::uint32_t* wide_ = nullptr;
  std::int64_t count_ = 0;
};

// Writes a token file piece by piece, as uint16 where vocab_size allows, else as uint32. What is at
// `path` stays until finish(), and a writer that is not finished leaves nothing.
class TokenFileWriter {
 public:
  TokenFileWriter(const std::filesystem::path& path, int vocab_size);
  ~TokenFileWriter();
  TokenFileWriter(const TokenFileWriter&) = delete;
  TokenFileWriter& operator=(const TokenFileWriter&) = delete;

  void append(std::span<const int> ids);
  void finish();
  std::int64_t size() const { return count_; }

 private:
  void flush();

  std::filesystem::path path_;
  std::string temporary_;
  int file_ = -1;
  int width_ = 2;
  std::int64_t count_ = 0;
  std::string pending_;  // bytes that are not written yet
};

// All at once.
void write_token_file(const std::filesystem::path& path, std::span<const int> ids, int vocab_size);

}  // namespace tinygpt
