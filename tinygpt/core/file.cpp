#include "tinygpt/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

// A file descriptor that closes itself.
struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

// Opens a regular file for reading and gives its size. O_NONBLOCK: a named pipe must not hang us.
std::uint64_t open_regular(const fs::path& path, int fd) {
  check(fd >= 0, [&] { return fmt::format("{}: cannot be opened: {}", path.string(), reason()); });
  struct stat info {};
  check(::fstat(fd, &info) == 0,
        [&] { return fmt::format("{}: cannot be read: {}", path.string(), reason()); });
  check(S_ISREG(info.st_mode),
        [&] { return fmt::format("{}: not a regular file", path.string()); });
  return static_cast<std::uint64_t>(info.st_size);
}

void write_all(int fd, const char* data, std::size_t bytes, const fs::path& path) {
  while (bytes > 0) {
    const ssize_t n = ::write(fd, data, bytes);
    if (n < 0 && errno == EINTR) continue;
    check(n > 0, [&] { return fmt::format("{}: cannot be written: {}", path.string(), reason()); });
    data += n;
    bytes -= static_cast<std::size_t>(n);
  }
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const std::uint64_t size = open_regular(path, file.fd);
  check(size <= max_bytes, [&] {
    return fmt::format("{}: {} bytes, more than the {} that are read here", path.string(), size,
                       max_bytes);
  });
  std::string text(size, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t n = ::read(file.fd, text.data() + have, text.size() - have);
    if (n < 0 && errno == EINTR) continue;
    check(n >= 0, [&] { return fmt::format("{}: cannot be read: {}", path.string(), reason()); });
    if (n == 0) break;  // the file shrank while it was read
    have += static_cast<std::size_t>(n);
  }
  text.resize(have);
  return text;
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  size_ = open_regular(path, file.fd);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  check(data != MAP_FAILED,
        [&] { return fmt::format("{}: cannot be mapped: {}", path.string(), reason()); });
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void write_file_atomically(const fs::path& path, const std::function<void(const Sink&)>& write) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::string name = (folder / (path.filename().string() + ".tmp-XXXXXX")).string();
  const Descriptor file(::mkstemp(name.data()));
  check(file.fd >= 0,
        [&] { return fmt::format("{}: cannot be written: {}", path.string(), reason()); });
  try {
    ::fchmod(file.fd, 0644);
    std::string pending;  // small writes are gathered
    write([&](const void* data, std::size_t bytes) {
      if (bytes < (1u << 16)) {
        pending.append(static_cast<const char*>(data), bytes);
        if (pending.size() < (1u << 20)) return;
        write_all(file.fd, pending.data(), pending.size(), path);
        pending.clear();
        return;
      }
      write_all(file.fd, pending.data(), pending.size(), path);
      pending.clear();
      write_all(file.fd, static_cast<const char*>(data), bytes, path);
    });
    write_all(file.fd, pending.data(), pending.size(), path);
    check(::fsync(file.fd) == 0 && ::rename(name.c_str(), path.c_str()) == 0,
          [&] { return fmt::format("{}: cannot be written: {}", path.string(), reason()); });
  } catch (...) {
    ::unlink(name.c_str());
    throw;
  }
  sync_folder(folder);
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  write_file_atomically(path, [&](const Sink& sink) { sink(content.data(), content.size()); });
}

void sync_folder(const fs::path& folder) {
  const Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd >= 0) ::fsync(file.fd);  // some file systems refuse it; the rename itself is atomic
}

void check_utf8(std::string_view text, std::string_view what) {
  std::size_t i = 0;
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const auto continues = [&](std::size_t k) { return k < text.size() && (byte(k) & 0xC0) == 0x80; };
  while (i < text.size()) {
    const unsigned char b = byte(i);
    std::size_t length = 0;
    if (b < 0x80) length = 1;
    else if (b >= 0xC2 && b <= 0xDF && continues(i + 1)) length = 2;
    else if (b >= 0xE0 && b <= 0xEF && continues(i + 1) && continues(i + 2)) {
      const bool overlong = b == 0xE0 && byte(i + 1) < 0xA0;
      const bool surrogate = b == 0xED && byte(i + 1) >= 0xA0;
      if (!overlong && !surrogate) length = 3;
    } else if (b >= 0xF0 && b <= 0xF4 && continues(i + 1) && continues(i + 2) && continues(i + 3)) {
      const bool overlong = b == 0xF0 && byte(i + 1) < 0x90;
      const bool too_big = b == 0xF4 && byte(i + 1) >= 0x90;
      if (!overlong && !too_big) length = 4;
    }
    check(length > 0,
          [&] { return fmt::format("{}: not valid UTF-8 at byte {} (0x{:02x})", what, i, b); });
    i += length;
  }
}

}  // namespace tinygpt
