#include "tinygpt/io/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "tinygpt/core/error.h"
#include "tinygpt/io/json.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "values are copied as they lie in the file");

constexpr std::uint64_t kLengthBytes = 8;
// The largest published headers are a hundredth of this; the format itself allows 100 MB.
constexpr std::uint64_t kLargestHeader = std::uint64_t{1} << 24;

std::optional<std::uint64_t> bytes_of_dtype(const std::string& dtype) {
  for (const char* name : {"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"}) {
    if (dtype == name) return 1;
  }
  for (const char* name : {"I16", "U16", "F16", "BF16"}) {
    if (dtype == name) return 2;
  }
  for (const char* name : {"I32", "U32", "F32"}) {
    if (dtype == name) return 4;
  }
  for (const char* name : {"I64", "U64", "F64"}) {
    if (dtype == name) return 8;
  }
  return std::nullopt;
}

// A number that is a size or an offset: an integer from 0 to 2^63 - 1.
std::optional<std::uint64_t> size_of(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto n = value.get<std::uint64_t>();
  if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  return n;
}

// One tensor's place in the file's data.
struct Extent {
  std::string name;
  std::uint64_t begin = 0, end = 0;
};

struct Header {
  std::string file;  // for messages
  std::span<const std::byte> data;
  std::vector<Extent> extents;
};

[[noreturn]] void fail(const Header& h, const std::string& name, const std::string& what) {
  throw Error(fmt::format("{}: tensor {}: {}", h.file, quote_for_message(name), what));
}

const json& member(const Header& h, const std::string& name, const json& entry, const char* key) {
  if (!entry.is_object()) fail(h, name, "must be an object");
  const auto found = entry.find(key);
  if (found == entry.end()) fail(h, name, fmt::format("has no {}", key));
  return *found;
}

std::vector<std::int64_t> read_shape(const Header& h, const std::string& name, const json& shape) {
  std::vector<std::int64_t> sizes;
  if (!shape.is_array()) fail(h, name, "shape must be an array");
  for (const json& entry : shape) {
    const auto n = size_of(entry);
    if (!n) fail(h, name, "shape must hold integers from 0 to 2^63 - 1");
    sizes.push_back(static_cast<std::int64_t>(*n));
  }
  return sizes;
}

// The bytes that the shape takes; throws where they exceed the file's, so nothing overflows later.
std::uint64_t bytes_of_shape(const Header& h, const std::string& name,
                             const std::vector<std::int64_t>& shape, std::uint64_t value_bytes) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::uint64_t bytes = value_bytes;
  for (const std::int64_t n : shape) {
    if (static_cast<std::uint64_t>(n) > h.data.size() / bytes) {
      fail(h, name,
           fmt::format("shape [{}] needs more bytes than the file's {}", fmt::join(shape, ", "),
                       h.data.size()));
    }
    bytes *= static_cast<std::uint64_t>(n);
  }
  return bytes;
}

TensorView read_tensor(Header& h, const std::string& name, const json& entry) {
  const json& dtype = member(h, name, entry, "dtype");
  const json& offsets = member(h, name, entry, "data_offsets");
  if (!dtype.is_string()) fail(h, name, "dtype must be a string");
  TensorView t;
  t.dtype = dtype.get<std::string>();
  const auto value_bytes = bytes_of_dtype(t.dtype);
  if (!value_bytes) fail(h, name, fmt::format("unknown dtype {}", quote_for_message(t.dtype)));
  t.shape = read_shape(h, name, member(h, name, entry, "shape"));
  const bool is_pair = offsets.is_array() && offsets.size() == 2;
  const auto begin = is_pair ? size_of(offsets[0]) : std::nullopt;
  const auto end = is_pair ? size_of(offsets[1]) : std::nullopt;
  if (!begin || !end || *begin > *end) {
    fail(h, name, "data_offsets must be [begin, end] with begin <= end");
  }
  if (*end > h.data.size()) {
    fail(h, name,
         fmt::format("data_offsets end at {}, beyond the {} bytes of data that the file "
                     "has: is it cut short?",
                     *end, h.data.size()));
  }
  const std::uint64_t bytes = bytes_of_shape(h, name, t.shape, *value_bytes);
  if (*end - *begin != bytes) {
    fail(h, name,
         fmt::format("data_offsets span {} bytes where {} of shape [{}] take {}", *end - *begin,
                     t.dtype, fmt::join(t.shape, ", "), bytes));
  }
  t.bytes = h.data.subspan(*begin, bytes);
  h.extents.push_back({name, *begin, *end});
  return t;
}

// In the order of their places each tensor starts where the one before it ends.
void check_extents(Header& h) {
  std::sort(h.extents.begin(), h.extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t end = 0;
  for (const Extent& e : h.extents) {
    if (e.begin != end) {
      fail(h, e.name,
           fmt::format("starts at byte {} of the data, {} the end of the one before, {}", e.begin,
                       e.begin < end ? "before" : "after", end));
    }
    end = e.end;
  }
  check(end == h.data.size(), [&] {
    return fmt::format("{}: {} bytes of data, but the tensors take only {}", h.file, h.data.size(),
                       end);
  });
}

void read_metadata(SafetensorsFile& f, const Header& h, const json& metadata) {
  bool good = metadata.is_object();
  if (good) {
    for (const auto& [key, value] : metadata.items()) {
      good = good && value.is_string();
      if (good) f.metadata[key] = value.get<std::string>();
    }
  }
  check(good, [&] { return h.file + ": __metadata__ must be an object of strings"; });
}

// The header's text; what follows it is the data.
std::string_view header_text(const std::string& name, std::span<const std::byte> bytes) {
  check(bytes.size() >= kLengthBytes, [&] {
    return fmt::format("{}: {} bytes are too few for a safetensors file", name, bytes.size());
  });
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  check(length <= bytes.size() - kLengthBytes, [&] {
    return fmt::format(
        "{}: not a safetensors file, or cut short: a header of {} bytes is announced "
        "in a file of {}",
        name, length, bytes.size());
  });
  check(length <= kLargestHeader, [&] {
    return fmt::format("{}: a header of {} bytes, more than the {} that are read here", name,
                       length, kLargestHeader);
  });
  return {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
          static_cast<std::size_t>(length)};
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu, mantissa = half & 0x3FFu;
  if (exponent == 0) {  // zero and subnormal: mantissa * 2^-24, exact in float
    const float value = static_cast<float>(mantissa) * 0x1.0p-24f;
    return sign != 0 ? -value : value;
  }
  // Infinity and NaN keep their mantissa; other exponents move from bias 15 to bias 127.
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

}  // namespace

std::int64_t TensorView::size() const {
  // Sizes without a zero were checked against the file's; with one, their product may overflow.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::int64_t n = 1;
  for (const std::int64_t dimension : shape) n *= dimension;
  return n;
}

SafetensorsFile open_safetensors(const std::filesystem::path& path) {
  MappedFile file(path);
  SafetensorsFile f = parse_safetensors(file.bytes(), path.string());
  f.file = std::move(file);  // the map stays where it is
  return f;
}

SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  SafetensorsFile f;
  Header h{name, bytes, {}};
  const std::string_view text = header_text(h.file, h.data);
  check(text.starts_with('{'),
        [&] { return h.file + ": not a safetensors file: its header is no JSON object"; });
  const json header = parse_json(text, h.file + ": header");
  h.data = h.data.subspan(kLengthBytes + text.size());
  for (const auto& [tensor, entry] : header.items()) {
    if (tensor == "__metadata__") read_metadata(f, h, entry);
    else f.tensors[tensor] = read_tensor(h, tensor, entry);
  }
  check_extents(h);
  return f;
}

bool is_float_dtype(const std::string& dtype) {
  return dtype == "F32" || dtype == "F16" || dtype == "BF16";
}

void copy_as_float(std::span<float> out, const TensorView& t) {
  check(is_float_dtype(t.dtype) && out.size() == static_cast<std::size_t>(t.size()),
        "copy_as_float: wrong type or size");
  if (t.dtype == "F32") {
    if (!out.empty()) std::memcpy(out.data(), t.bytes.data(), out.size_bytes());
    return;
  }
  const bool bf16 = t.dtype == "BF16";
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, t.bytes.data() + 2 * i, 2);
    // bfloat16 is the upper half of a float.
    out[i] = bf16 ? std::bit_cast<float>(std::uint32_t{bits} << 16) : half_to_float(bits);
  }
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorSource>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorSource& t : tensors) {
    std::uint64_t end = sizeof(float);
    for (const std::int64_t n : t.shape) end *= static_cast<std::uint64_t>(n);
    end += offset;
    header[t.name] = {{"dtype", "F32"}, {"shape", t.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = tensors.empty() && metadata.empty() ? "{}" : header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // the data starts at a multiple of 8
  const std::uint64_t length = text.size();
  write_file_atomically(path, [&](const Sink& sink) {
    sink(&length, kLengthBytes);
    sink(text.data(), text.size());
    std::uint64_t written = 0;
    for (const TensorSource& t : tensors) {
      t.write([&](const void* data, std::size_t bytes) {
        written += bytes;
        sink(data, bytes);
      });
    }
    check(written == offset, "write_safetensors: a tensor's source wrote too much or too little");
  });
}

}  // namespace tinygpt
