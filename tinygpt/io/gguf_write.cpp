#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>

#include "tinygpt/core/error.h"
#include "tinygpt/io/gguf.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

constexpr std::uint32_t kText = 8, kArray = 9;

// Appends the header's parts.
struct Writer {
  std::string bytes;

  template <class T>
  void number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void text(const std::string& value) {
    number(std::uint64_t{value.size()});
    bytes += value;
  }

  // A number of GGUF's type `type`.
  template <class T>
  void narrow(std::uint32_t type, T value) {
    switch (type) {
      case 0:
        return number(static_cast<std::uint8_t>(value));
      case 1:
        return number(static_cast<std::int8_t>(value));
      case 2:
        return number(static_cast<std::uint16_t>(value));
      case 3:
        return number(static_cast<std::int16_t>(value));
      case 4:
        return number(static_cast<std::uint32_t>(value));
      case 5:
        return number(static_cast<std::int32_t>(value));
      case 6:
        return number(static_cast<float>(value));
      case 7:
        return number(static_cast<std::uint8_t>(value));
      case 10:
        return number(static_cast<std::uint64_t>(value));
      case 11:
        return number(static_cast<std::int64_t>(value));
      case 12:
        return number(static_cast<double>(value));
      default:
        throw Error(fmt::format("write_gguf: a number cannot have GGUF's type {}", type));
    }
  }

  void value(std::uint32_t type, bool x) { narrow(type, x); }
  void value(std::uint32_t type, std::int64_t x) { narrow(type, x); }
  void value(std::uint32_t type, std::uint64_t x) { narrow(type, x); }
  void value(std::uint32_t type, double x) { narrow(type, x); }
  void value(std::uint32_t type, const std::string& x) {
    check(type == kText, "write_gguf: text must have GGUF's type 8");
    text(x);
  }
  template <class T>
  void value(std::uint32_t type, const std::vector<T>& elements) {
    number(type);
    number(std::uint64_t{elements.size()});
    for (const T& element : elements) value(type, element);
  }
  void setting(const GgufValue& v) {
    const bool is_array = v.value.index() >= 5;
    number(is_array ? kArray : v.type);
    std::visit([&](const auto& x) { value(v.type, x); }, v.value);
  }

  void pad(std::uint64_t alignment) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
  }
};

std::int64_t size_of(const GgufSource& source) {
  std::int64_t n = 1;
  for (const std::int64_t size : source.shape) {
    check(size > 0 && n <= std::numeric_limits<std::int64_t>::max() / 8 / size,
          [&] { return fmt::format("write_gguf: {}: a size is out of range", source.name); });
    n *= size;
  }
  check(!source.shape.empty() && source.shape.size() <= 4 &&
            source.shape.back() % block_of(source.type) == 0,
        [&] {
          return fmt::format("write_gguf: {}: one to four sizes, and {} in rows of whole blocks",
                             source.name, type_name(source.type));
        });
  return n;
}

std::uint64_t alignment_of(const std::map<std::string, GgufValue>& settings) {
  const auto found = settings.find("general.alignment");
  if (found == settings.end()) return 32;
  const auto* n = std::get_if<std::uint64_t>(&found->second.value);
  check(n != nullptr && *n >= 8 && *n <= 1 << 20 && (*n & (*n - 1)) == 0,
        "write_gguf: general.alignment must be a power of two from 8 to 2^20");
  return *n;
}

}  // namespace

void write_gguf(const std::filesystem::path& path, const std::map<std::string, GgufValue>& settings,
                const std::vector<GgufSource>& tensors) {
  const std::uint64_t alignment = alignment_of(settings);
  Writer w;
  w.bytes = "GGUF";
  w.number(std::uint32_t{3});
  w.number(std::uint64_t{tensors.size()});
  w.number(std::uint64_t{settings.size()});
  for (const auto& [key, value] : settings) {
    check_utf8(key, "write_gguf: a key");
    w.text(key);
    w.setting(value);
  }
  std::uint64_t offset = 0;
  std::set<std::string> names;
  for (const GgufSource& source : tensors) {
    check_utf8(source.name, "write_gguf: a tensor's name");
    check(names.insert(source.name).second,
          [&] { return fmt::format("write_gguf: the tensor {} comes twice", source.name); });
    const std::int64_t n = size_of(source);
    w.text(source.name);
    w.number(static_cast<std::uint32_t>(source.shape.size()));
    for (auto size = source.shape.rbegin(); size != source.shape.rend(); ++size) {
      w.number(static_cast<std::uint64_t>(*size));
    }
    w.number(static_cast<std::uint32_t>(source.type));
    w.number(offset);
    offset += static_cast<std::uint64_t>(bytes_of(source.type, n));
    offset = (offset + alignment - 1) / alignment * alignment;
  }
  w.pad(alignment);
  write_file_atomically(path, [&](const Sink& sink) {
    sink(w.bytes.data(), w.bytes.size());
    for (const GgufSource& source : tensors) {
      const auto wanted = static_cast<std::uint64_t>(bytes_of(source.type, size_of(source)));
      std::uint64_t written = 0;
      source.write([&](const void* data, std::size_t bytes) {
        sink(data, bytes);
        written += bytes;
      });
      check(written == wanted, [&] {
        return fmt::format("write_gguf: {}: {} bytes were written where its shape takes {}",
                           source.name, written, wanted);
      });
      const std::string padding((alignment - written % alignment) % alignment, '\0');
      sink(padding.data(), padding.size());
    }
  });
}

}  // namespace tinygpt
