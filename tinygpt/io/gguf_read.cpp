#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/io/gguf.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they lie");

constexpr std::uint32_t kVersion = 3;
constexpr int kMostSizes = 4;
constexpr std::uint64_t kLongestName = 64 * 1024;
constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();

// GGUF's numbers for the types of settings.
enum : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64
};

std::optional<GgufType> type_of(std::uint32_t number) {
  for (const GgufType type :
       {GgufType::f32, GgufType::f16, GgufType::q4_0, GgufType::q8_0, GgufType::bf16}) {
    if (number == static_cast<std::uint32_t>(type)) return type;
  }
  return std::nullopt;
}

// Bytes of a setting of this type, at least; of text and arrays those of their lengths.
std::uint64_t least_bytes(std::uint32_t type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    default:
      return 8;
  }
}

// Reads the header from front to back. Whatever the file says about lengths is compared with what
// is left of it first.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}: at byte {}: {}", name_, at_, what));
  }
  std::uint64_t at() const { return at_; }
  std::uint64_t left() const { return bytes_.size() - at_; }

  template <class T>
  T number() {
    if (left() < sizeof(T)) fail("the file ends here: is it cut short?");
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  // How many things of at least `bytes` follow.
  std::uint64_t count(const char* what, std::uint64_t bytes) {
    const auto n = number<std::uint64_t>();
    if (n > left() / bytes) fail(fmt::format("{} {} do not fit into the file", n, what));
    return n;
  }

  std::string text(const char* what, std::uint64_t longest = kLargest) {
    const std::uint64_t n = count("bytes of text", 1);
    if (n > longest) fail(fmt::format("{} has {} bytes; at most {}", what, n, longest));
    std::string value(reinterpret_cast<const char*>(bytes_.data() + at_), n);
    at_ += n;
    return value;
  }

  std::string name(const char* what) {
    std::string value = text(what, kLongestName);
    check_utf8(value, name_ + ": " + what);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  std::uint64_t at_ = 0;
};

std::int64_t read_integer(Reader& r, std::uint32_t type) {
  switch (type) {
    case kU8:
      return r.number<std::uint8_t>();
    case kI8:
      return r.number<std::int8_t>();
    case kU16:
      return r.number<std::uint16_t>();
    case kI16:
      return r.number<std::int16_t>();
    case kU32:
      return r.number<std::uint32_t>();
    case kI32:
      return r.number<std::int32_t>();
    case kBool: {
      const auto value = r.number<std::uint8_t>();
      if (value > 1) r.fail("a truth value must be 0 or 1");
      return value;
    }
    case kI64:
      return r.number<std::int64_t>();
    default: {  // u64 in an array
      const auto value = r.number<std::uint64_t>();
      if (value > kLargest) r.fail("an integer beyond 2^63 - 1");
      return static_cast<std::int64_t>(value);
    }
  }
}

bool is_float(std::uint32_t type) { return type == kF32 || type == kF64; }

double read_float(Reader& r, std::uint32_t type) {
  return type == kF32 ? double{r.number<float>()} : r.number<double>();
}

GgufValue read_array(Reader& r) {
  const auto type = r.number<std::uint32_t>();
  if (type > kF64 || type == kArray) {
    r.fail(fmt::format("an array of type {}, which is not one of GGUF's or an array", type));
  }
  const std::uint64_t n = r.count("elements", least_bytes(type));
  if (type == kText) {
    GgufValue::Strings texts;
    for (std::uint64_t i = 0; i < n; ++i) texts.push_back(r.text("an element"));
    return {std::move(texts), type};
  }
  if (is_float(type)) {
    GgufValue::Floats floats;
    for (std::uint64_t i = 0; i < n; ++i) floats.push_back(read_float(r, type));
    return {std::move(floats), type};
  }
  GgufValue::Integers integers;
  for (std::uint64_t i = 0; i < n; ++i) integers.push_back(read_integer(r, type));
  return {std::move(integers), type};
}

GgufValue read_value(Reader& r) {
  const auto type = r.number<std::uint32_t>();
  switch (type) {
    case kArray:
      return read_array(r);
    case kText:
      return {r.text("a setting"), type};
    case kBool:
      return {read_integer(r, type) != 0, type};
    case kF32:
    case kF64:
      return {read_float(r, type), type};
    case kI8:
    case kI16:
    case kI32:
    case kI64:
      return {read_integer(r, type), type};
    case kU8:
    case kU16:
    case kU32:
      return {static_cast<std::uint64_t>(read_integer(r, type)), type};
    case kU64:
      return {r.number<std::uint64_t>(), type};
    default:
      r.fail(fmt::format("a setting of type {}, which is not one of GGUF's", type));
  }
}

// A tensor's entry, with its place in the data that follows the header.
struct Entry {
  GgufTensor tensor;
  std::uint64_t offset = 0, bytes = 0;
};

Entry read_entry(Reader& r, std::uint64_t alignment) {
  Entry e;
  e.tensor.name = r.name("a tensor's name");
  const std::string name = quote_for_message(e.tensor.name);
  const auto sizes = r.number<std::uint32_t>();
  if (sizes > kMostSizes) r.fail(fmt::format("tensor {}: {} sizes; at most 4", name, sizes));
  std::uint64_t values = 1;
  for (std::uint32_t i = 0; i < sizes; ++i) {
    const auto n = r.number<std::uint64_t>();
    if (n == 0 || n > kLargest / 8 / values) {
      r.fail(fmt::format("tensor {}: a size of {} is out of range", name, n));
    }
    values *= n;
    e.tensor.shape.insert(e.tensor.shape.begin(), static_cast<std::int64_t>(n));
  }
  const auto number = r.number<std::uint32_t>();
  const auto type = type_of(number);
  if (!type) {
    r.fail(
        fmt::format("tensor {}: ggml's type {} is not supported; F32, F16, BF16, Q8_0 and Q4_0 "
                    "are",
                    name, number));
  }
  e.tensor.type = *type;
  const std::int64_t row = e.tensor.shape.empty() ? 1 : e.tensor.shape.back();
  if (row % block_of(*type) != 0) {
    r.fail(fmt::format("tensor {}: rows of {} values do not divide into blocks of {}", name, row,
                       block_of(*type)));
  }
  e.bytes = static_cast<std::uint64_t>(bytes_of(*type, static_cast<std::int64_t>(values)));
  e.offset = r.number<std::uint64_t>();
  if (e.offset % alignment != 0) {
    r.fail(fmt::format("tensor {}: its offset {} is no multiple of {}", name, e.offset, alignment));
  }
  return e;
}

std::uint64_t aligned(std::uint64_t n, std::uint64_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

// In the order of their places no tensor begins before the one before it has ended.
void check_places(const Reader& r, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::vector<const Entry*> order;
  for (const Entry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  std::uint64_t end = 0;
  for (const Entry* e : order) {
    const std::string name = quote_for_message(e->tensor.name);
    if (e->offset < end) r.fail(fmt::format("tensor {} overlaps the one before it", name));
    if (e->offset > data_bytes || e->bytes > data_bytes - e->offset) {
      r.fail(
          fmt::format("tensor {}: its {} bytes at {} are beyond the {} bytes of data that the "
                      "file has: is it cut short?",
                      name, e->bytes, e->offset, data_bytes));
    }
    end = e->offset + e->bytes;
  }
}

void read_settings(Reader& r, GgufFile& g, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string key = r.name("a key");
    const std::string shown = quote_for_message(key);
    if (!g.settings.emplace(std::move(key), read_value(r)).second) {
      r.fail(fmt::format("the key {} comes twice", shown));
    }
  }
  if (g.has("general.alignment")) {
    g.alignment = g.integer("general.alignment", 8, 1 << 20);
    if (!std::has_single_bit(static_cast<std::uint64_t>(g.alignment))) {
      r.fail(fmt::format("general.alignment is {}, which is no power of two", g.alignment));
    }
  }
}

}  // namespace

GgufFile open_gguf(const std::filesystem::path& path) {
  MappedFile file(path);
  GgufFile g = parse_gguf(file.bytes(), path.string());
  g.file = std::move(file);  // the map stays where it is
  return g;
}

GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& name) {
  GgufFile g;
  g.name = name;
  Reader r(bytes, name);
  if (r.left() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0) {
    r.fail("this is no GGUF file: it does not begin with the letters GGUF");
  }
  r.number<std::uint32_t>();
  const auto version = r.number<std::uint32_t>();
  if (version != kVersion) {
    r.fail(version == kVersion << 24
               ? std::string("a big-endian GGUF file; only little-endian ones are read")
               : fmt::format("version {} of GGUF; only version 3 is read", version));
  }
  constexpr std::uint64_t kLeastEntry = 8 + 4 + 4 + 8, kLeastSetting = 8 + 4 + 1;
  const std::uint64_t tensors = r.count("tensors", kLeastEntry);
  read_settings(r, g, r.count("settings", kLeastSetting));
  std::vector<Entry> entries;
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    entries.push_back(read_entry(r, static_cast<std::uint64_t>(g.alignment)));
    if (!names.insert(entries.back().tensor.name).second) {
      r.fail(
          fmt::format("the tensor {} comes twice", quote_for_message(entries.back().tensor.name)));
    }
  }
  const std::uint64_t begin = aligned(r.at(), static_cast<std::uint64_t>(g.alignment));
  const std::uint64_t all = bytes.size();
  const std::uint64_t data_bytes = all > begin ? all - begin : 0;
  check_places(r, entries, data_bytes);
  for (Entry& e : entries) {
    e.tensor.bytes = bytes.subspan(begin + e.offset, e.bytes);
    g.tensors.push_back(std::move(e.tensor));
  }
  return g;
}

}  // namespace tinygpt
