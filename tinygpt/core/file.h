// Reading files that may be hostile, and writing files that are never half written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace tinygpt {

// The whole file as bytes. Throws Error, naming the file, when it is missing, not a regular file,
// unreadable or larger than max_bytes; the size is checked before anything is allocated.
std::string read_file(const std::filesystem::path& path,
                      std::uint64_t max_bytes = std::uint64_t{1} << 32);

// A read-only memory map of a whole file; an empty file maps to an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Writes path by way of a temporary file in the same folder, fsync and rename: afterwards the
// file is either the old one or the whole new one, whatever happens in between. `write` is called
// with a sink that appends; an exception from it removes the temporary file and passes through.
using Sink = std::function<void(const void* data, std::size_t bytes)>;
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const Sink&)>& write);
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

// Makes names inside a folder durable (fsync of the folder itself).
void sync_folder(const std::filesystem::path& folder);

// Throws Error, naming `what` and the offset, unless text is valid UTF-8 (no overlong forms, no
// surrogates, nothing above U+10FFFF).
void check_utf8(std::string_view text, std::string_view what);

}  // namespace tinygpt
