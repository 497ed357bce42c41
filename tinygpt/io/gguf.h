// GGUF, version 3: one file with a model's weights, its settings and its tokenizer, to be mapped
// into memory as it lies. What llama.cpp and the programs built on it open.
//
//   "GGUF", u32 version, u64 number of tensors, u64 number of settings
//   settings      string key, u32 type, value
//   tensors       string name, u32 number of sizes, u64 sizes (the fastest first), u32 type,
//                 u64 offset in the data, a multiple of the alignment
//   padding to the alignment ("general.alignment", 32 where it is not set), then the data
//
// All little-endian; a string is a u64 length and bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinygpt/core/file.h"

namespace tinygpt {

// The types of tensor that this project computes with; files with others are refused, by name.
enum class GgufType : std::uint32_t { f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, bf16 = 30 };

const char* type_name(GgufType type);

// Bytes of n values; n is a multiple of the type's block (32 for q4_0 and q8_0, else 1).
std::int64_t bytes_of(GgufType type, std::int64_t n);
int block_of(GgufType type);

// A setting. Integers of every width are kept in 64 bits, floats in double. `type` is the width in
// the file, so that what is read can be written again as it was.
struct GgufValue {
  using Integers = std::vector<std::int64_t>;
  using Floats = std::vector<double>;
  using Strings = std::vector<std::string>;
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string, Integers, Floats, Strings>
      value;
  std::uint32_t type = 0;  // GGUF's number; of an array, of its elements

  static GgufValue u32(std::uint32_t x) { return {std::uint64_t{x}, 4}; }
  static GgufValue f32(float x) { return {double{x}, 6}; }
  static GgufValue boolean(bool x) { return {x, 7}; }
  static GgufValue text(std::string x) { return {std::move(x), 8}; }
  static GgufValue i32s(const std::vector<int>& x) { return {Integers(x.begin(), x.end()), 5}; }
  static GgufValue f32s(const std::vector<float>& x) { return {Floats(x.begin(), x.end()), 6}; }
  static GgufValue texts(Strings x) { return {std::move(x), 8}; }
  bool operator==(const GgufValue&) const = default;
};

struct GgufTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // as everywhere else, rows first: the file's sizes reversed
  GgufType type = GgufType::f32;
  std::span<const std::byte> bytes;  // into the mapped file, aligned

  std::int64_t size() const;  // the product of the shape
};

struct GgufFile {
  std::string name;  // for messages
  MappedFile file;   // what the tensors point into
  std::map<std::string, GgufValue> settings;
  std::vector<GgufTensor> tensors;  // in the file's order
  std::int64_t alignment = 32;

  // nullptr where there is none.
  const GgufTensor* find(std::string_view tensor) const;

  // A setting of this kind. Throws Error, naming file and key, where it is missing or of another
  // kind, or where an integer is not in `low` .. `high`.
  const std::string& text(const std::string& key) const;
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high) const;
  double number(const std::string& key) const;
  bool has(const std::string& key) const { return settings.count(key) > 0; }
};

// Maps the file and checks everything before anything is allocated that the file asks for: lengths,
// types, keys and names (UTF-8, unique), sizes, places (in range, aligned, without overlap). Throws
// Error, naming the file and the offset, on the first thing that is wrong.
GgufFile open_gguf(const std::filesystem::path& path);

// The same for bytes in memory, which must outlive the result and be aligned to 8; `name` stands
// for the path in messages.
GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& name);

// out[i] = value i of the tensor; out has tensor.size() values.
void copy_as_float(std::span<float> out, const GgufTensor& tensor);
// The same for a part of one, whole blocks of it.
void copy_as_float(std::span<float> out, GgufType type, std::span<const std::byte> bytes);

// A tensor to write. `write` passes exactly bytes_of(type, size) bytes to the sink.
struct GgufSource {
  std::string name;
  std::vector<std::int64_t> shape;
  GgufType type = GgufType::f32;
  std::function<void(const Sink&)> write;
};

// Writes the file atomically: settings in the order of their keys, "general.alignment" only where
// they have it, tensors in the given order.
void write_gguf(const std::filesystem::path& path, const std::map<std::string, GgufValue>& settings,
                const std::vector<GgufSource>& tensors);

}  // namespace tinygpt
