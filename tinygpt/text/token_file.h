// Files of token ids: one-dimensional NumPy arrays of uint16 or uint32, mapped into memory.
// The format is NumPy's own (numpy.lib.format, version 1.0), so numpy.load opens them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

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

// Writes ids atomically, as uint16 where vocab_size allows, else as uint32.
void write_token_file(const std::filesystem::path& path, std::span<const int> ids, int vocab_size);

}  // namespace tinygpt
