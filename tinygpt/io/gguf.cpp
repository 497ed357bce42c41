#include "tinygpt/io/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "solutions/21-quantization/quantize.h"
#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/float16.h"

namespace tinygpt {
namespace {

const GgufValue& setting(const GgufFile& g, const std::string& key) {
  const auto found = g.settings.find(key);
  check(found != g.settings.end(),
        [&] { return fmt::format("{}: has no setting {}", g.name, key); });
  return found->second;
}

[[noreturn]] void wrong_kind(const GgufFile& g, const std::string& key, const std::string& what) {
  throw Error(fmt::format("{}: the setting {} must be {}", g.name, key, what));
}

}  // namespace

const char* type_name(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return "F32";
    case GgufType::f16:
      return "F16";
    case GgufType::q4_0:
      return "Q4_0";
    case GgufType::q8_0:
      return "Q8_0";
    case GgufType::bf16:
      return "BF16";
  }
  return "?";
}

int block_of(GgufType type) {
  return type == GgufType::q4_0 || type == GgufType::q8_0 ? kQuantBlock : 1;
}

std::int64_t bytes_of(GgufType type, std::int64_t n) {
  switch (type) {
    case GgufType::f32:
      return 4 * n;
    case GgufType::q4_0:
      return n / kQuantBlock * std::int64_t{sizeof(BlockQ4_0)};
    case GgufType::q8_0:
      return n / kQuantBlock * std::int64_t{sizeof(BlockQ8_0)};
    default:
      return 2 * n;
  }
}

std::int64_t GgufTensor::size() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

const GgufTensor* GgufFile::find(std::string_view tensor) const {
  for (const GgufTensor& t : tensors) {
    if (t.name == tensor) return &t;
  }
  return nullptr;
}

const std::string& GgufFile::text(const std::string& key) const {
  const auto* value = std::get_if<std::string>(&setting(*this, key).value);
  if (value == nullptr) wrong_kind(*this, key, "text");
  return *value;
}

std::int64_t GgufFile::integer(const std::string& key, std::int64_t low, std::int64_t high) const {
  const GgufValue& found = setting(*this, key);
  const std::string wanted = fmt::format("an integer from {} to {}", low, high);
  std::int64_t n = 0;
  if (const auto* i = std::get_if<std::int64_t>(&found.value)) {
    n = *i;
  } else if (const auto* u = std::get_if<std::uint64_t>(&found.value);
             u != nullptr && *u <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    n = static_cast<std::int64_t>(*u);
  } else {
    wrong_kind(*this, key, wanted);
  }
  if (n < low || n > high) wrong_kind(*this, key, fmt::format("{}, and is {}", wanted, n));
  return n;
}

double GgufFile::number(const std::string& key) const {
  const auto* value = std::get_if<double>(&setting(*this, key).value);
  if (value == nullptr) wrong_kind(*this, key, "a number");
  return *value;
}

void copy_as_float(std::span<float> out, GgufType type, std::span<const std::byte> from) {
  const auto n = static_cast<std::int64_t>(out.size());
  check(n % block_of(type) == 0 && static_cast<std::int64_t>(from.size()) == bytes_of(type, n),
        "copy_as_float: the sizes differ");
  const std::byte* bytes = from.data();
  switch (type) {
    case GgufType::f32:
      std::memcpy(out.data(), bytes, from.size());
      return;
    // Blocks and halves are aligned to two bytes, and the data to at least eight.
    case GgufType::q8_0:
      return ref::dequantize_q8_0(out.data(), reinterpret_cast<const BlockQ8_0*>(bytes), n);
    case GgufType::q4_0:
      return ref::dequantize_q4_0(out.data(), reinterpret_cast<const BlockQ4_0*>(bytes), n);
    case GgufType::f16:
      std::copy_n(reinterpret_cast<const Float16*>(bytes), n, out.data());
      return;
    case GgufType::bf16:
      std::copy_n(reinterpret_cast<const Bfloat16*>(bytes), n, out.data());
      return;
  }
}

void copy_as_float(std::span<float> out, const GgufTensor& tensor) {
  copy_as_float(out, tensor.type, tensor.bytes);
}

}  // namespace tinygpt
