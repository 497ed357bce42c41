// Lesson 24: a model as a GGUF file, version 3, in its plainest form. tinygpt/io/gguf.h has the
// whole format.
//
//   4 bytes "GGUF", u32 version, u64 number of tensors, u64 number of settings
//   each setting:  text key, u32 type, value           types: u32 is 4, f32 is 6, text is 8
//   each tensor:   text name, u32 number of sizes, u64 sizes (the fastest first),
//                  u32 type, u64 offset of its data from the start of all data
//   zeros up to the next multiple of 32; here the data start
//   each tensor's data, and zeros up to the next multiple of 32
//
// Numbers are little-endian: the lowest byte first. A text is a u64 number of bytes, and the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tinygpt::mine {

enum class TensorType : std::uint32_t { f32 = 0, q4_0 = 2, q8_0 = 8 };

// Bytes that n values take. n is a multiple of the type's block: 32, or 1 for f32.
std::uint64_t tensor_bytes(TensorType type, std::uint64_t n);

struct ModelTensor {
  std::string name;
  std::vector<std::uint64_t> shape;  // rows first, as everywhere else: {rows, cols}
  TensorType type = TensorType::f32;
  std::string data;  // tensor_bytes(type, product of the shape) bytes
  bool operator==(const ModelTensor&) const = default;
};

using SettingValue = std::variant<std::uint32_t, float, std::string>;

struct ModelFile {
  std::vector<std::pair<std::string, SettingValue>> settings;
  std::vector<ModelTensor> tensors;
  bool operator==(const ModelFile&) const = default;
};

// The file's bytes.
std::string gguf_write(const ModelFile& file);

// What gguf_write wrote. Throws Error on another magic or version, on types that are not above, on
// offsets that are no multiple of 32, on rows of Q8_0 or Q4_0 that are no whole blocks, and on
// whatever would lie behind the end of the file, before anything of that size is allocated. A
// tensor's data are where its offset says, in whatever order.
ModelFile gguf_read(std::string_view bytes);

}  // namespace tinygpt::mine
