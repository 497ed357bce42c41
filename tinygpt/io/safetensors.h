// The safetensors format: named tensors in one file.
//
//   8 bytes       n, the length of the header, little-endian
//   n bytes       a JSON object: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0,
//   24]},
//                 ..., "__metadata__": {"key": "value"}}, padded with spaces
//   the rest      the values, little-endian, row-major; offsets count from here. Tensors neither
//                 overlap nor leave gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tinygpt/core/file.h"

namespace tinygpt {

struct TensorView {
  std::string dtype;  // "F32", "BF16", ...
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // into the mapped file; of any alignment

  std::int64_t size() const;  // the product of the shape
};

struct SafetensorsFile {
  MappedFile file;
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
};

// Maps the file and checks everything: lengths, the header's form, each type, shape and place.
// Throws Error, naming the file, on the first thing that is wrong.
SafetensorsFile open_safetensors(const std::filesystem::path& path);

// The same for bytes in memory, which must outlive the result; `name` stands for the path in
// messages.
SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, const std::string& name);

// Whether copy_as_float reads this type: F32, F16 or BF16.
bool is_float_dtype(const std::string& dtype);

// out[i] = value i of the tensor; out has tensor.size() values.
void copy_as_float(std::span<float> out, const TensorView& tensor);

// A tensor to write: always F32. `write` passes exactly the product of the shape to the sink.
struct TensorSource {
  std::string name;
  std::vector<std::int64_t> shape;
  std::function<void(const Sink&)> write;
};

// Writes the file atomically, tensors in the given order.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorSource>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace tinygpt
