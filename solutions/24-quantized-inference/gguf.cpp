#include "solutions/24-quantized-inference/gguf.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "tinygpt/core/error.h"
#include "tinygpt/ops/quantized.h"

namespace tinygpt::ref {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie");

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32;

}  // namespace

std::uint64_t tensor_bytes(TensorType type, std::uint64_t n) {
  if (type == TensorType::f32) return n * sizeof(float);
  const std::uint64_t block = type == TensorType::q8_0 ? sizeof(BlockQ8_0) : sizeof(BlockQ4_0);
  return n / kQuantBlock * block;
}

// A text's type is 8, an f32's 6, a u32's 4: std::visit finds out which one a setting is.
std::string gguf_write(const ModelFile& file) {
  std::string out;
  // your code: 24.gguf_write
  const auto number = [&](auto value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  const auto text = [&](const std::string& value) {
    number(std::uint64_t{value.size()});
    out += value;
  };
  const auto pad = [&] {
    while (out.size() % kAlignment != 0) out += '\0';
  };
  out += "GGUF";
  number(kVersion);
  number(std::uint64_t{file.tensors.size()});
  number(std::uint64_t{file.settings.size()});
  for (const auto& [key, setting] : file.settings) {
    text(key);
    constexpr std::uint32_t kTypes[] = {4, 6, 8};  // in the variant's order
    number(kTypes[setting.index()]);
    if (const auto* words = std::get_if<std::string>(&setting)) text(*words);
    if (const auto* x = std::get_if<float>(&setting)) number(*x);
    if (const auto* n = std::get_if<std::uint32_t>(&setting)) number(*n);
  }
  std::uint64_t offset = 0;
  for (const ModelTensor& tensor : file.tensors) {
    text(tensor.name);
    number(static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t i = tensor.shape.size(); i > 0; --i) number(tensor.shape[i - 1]);
    number(static_cast<std::uint32_t>(tensor.type));
    number(offset);
    offset += (tensor.data.size() + kAlignment - 1) / kAlignment * kAlignment;
  }
  pad();
  for (const ModelTensor& tensor : file.tensors) {
    out += tensor.data;
    pad();
  }
  // end of your code
  return out;
}

// Every length is compared with what is left of the file before it is used. A file that lies about
// its counts ends early, and that is an Error like any other.
ModelFile gguf_read(std::string_view bytes) {
  ModelFile file;
  // your code: 24.gguf_read
  std::size_t at = 0;
  const auto take = [&](std::uint64_t n) {
    check(n <= bytes.size() - at, "gguf_read: the file ends too early: is it cut short?");
    const std::string_view part = bytes.substr(at, n);
    at += n;
    return part;
  };
  const auto number = [&]<class T>(T value) {  // a number of value's type
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  };
  const auto u32 = [&] { return number(std::uint32_t{}); };
  const auto u64 = [&] { return number(std::uint64_t{}); };
  const auto text = [&] { return std::string(take(u64())); };
  check(take(4) == "GGUF", "gguf_read: this is no GGUF file");
  check(u32() == kVersion, "gguf_read: only version 3 is known");
  const std::uint64_t tensors = u64(), settings = u64();
  for (std::uint64_t i = 0; i < settings; ++i) {
    std::string key = text();
    const std::uint32_t type = u32();
    check(type == 4 || type == 6 || type == 8, "gguf_read: a setting of an unknown type");
    SettingValue value;
    if (type == 4) value = u32();
    if (type == 6) value = number(float{});
    if (type == 8) value = text();
    file.settings.emplace_back(std::move(key), std::move(value));
  }
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    ModelTensor tensor{.name = text(), .shape = {}, .type = {}, .data = {}};
    const std::uint32_t sizes = u32();
    for (std::uint32_t k = 0; k < sizes; ++k) tensor.shape.insert(tensor.shape.begin(), u64());
    tensor.type = TensorType{u32()};
    check(tensor.type == TensorType::f32 || tensor.type == TensorType::q4_0 ||
              tensor.type == TensorType::q8_0,
          "gguf_read: a tensor of an unknown type");
    offsets.push_back(u64());
    file.tensors.push_back(std::move(tensor));
  }
  const std::size_t data = (at + kAlignment - 1) / kAlignment * kAlignment;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    ModelTensor& tensor = file.tensors[i];
    check(offsets[i] % kAlignment == 0, "gguf_read: a tensor is not aligned");
    std::uint64_t n = 1;
    for (const std::uint64_t size : tensor.shape) {
      check(size == 0 || n <= bytes.size() * 2 / size,
            "gguf_read: a tensor is larger than its file");
      n *= size;
    }
    const std::uint64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
    check(tensor.type == TensorType::f32 || cols % kQuantBlock == 0,
          "gguf_read: a tensor's rows are no whole blocks");
    const std::uint64_t length = tensor_bytes(tensor.type, n);
    check(data <= bytes.size() && offsets[i] <= bytes.size() - data &&
              length <= bytes.size() - data - offsets[i],
          "gguf_read: a tensor lies behind the end of the file");
    tensor.data = bytes.substr(data + offsets[i], length);
  }
  // end of your code
  return file;
}

}  // namespace tinygpt::ref
