// GGUF once more, to compare with: a writer that says which field each byte belongs to, and that
// can be wrong in many ways.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "solutions/24-quantized-inference/gguf.h"

namespace tinygpt::lessons {

// `ref` is renamed to the learner's namespace where graders are compiled.
using ref::ModelFile;
using ref::ModelTensor;
using ref::TensorType;

struct GgufRule {
  bool big_endian = false;
  bool magic_backwards = false;
  std::uint32_t version = 3;
  bool counts_swapped = false, short_counts = false;
  bool short_lengths = false, no_lengths = false, text_with_zero = false, zero_not_counted = false;
  bool types_by_index = false, text_without_type = false;
  bool rows_first = false, short_sizes = false, long_number_of_sizes = false;
  bool offset_not_aligned = false, offset_from_file = false, offset_zero = false;
  bool data_not_aligned = false, data_side_by_side = false, end_not_padded = false;
  bool padded_when_aligned = false;
  int alignment = 32;
  bool tensors_first = false, type_before_sizes = false, tensor_types_by_index = false;
  bool offset_of_end = false, type_before_key = false;
};

struct GgufBytes {
  std::string bytes;
  std::map<std::size_t, std::string> fields;  // by their first byte
  std::size_t data = 0, end = 0;              // where the data start, and their last byte's end
};

class GgufOracle {
 public:
  explicit GgufOracle(const GgufRule& rule) : rule_(rule) {}

  GgufBytes write(const ModelFile& file) {
    const std::uint64_t tensors = file.tensors.size(), settings = file.settings.size();
    field("the magic"), out_.bytes += rule_.magic_backwards ? "FUGG" : "GGUF";
    field("the version"), number(rule_.version);
    field("the number of tensors"), count(rule_.counts_swapped ? settings : tensors);
    field("the number of settings"), count(rule_.counts_swapped ? tensors : settings);
    if (rule_.tensors_first) write_tensors(file);
    for (const auto& setting : file.settings) write_setting(setting);
    if (!rule_.tensors_first) write_tensors(file);
    write_data(file);
    return out_;
  }

 private:
  void field(std::string what) { out_.fields[out_.bytes.size()] = std::move(what); }

  template <class T>
  void number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_.bytes += bytes[rule_.big_endian ? sizeof(T) - 1 - i : i];
    }
  }
  void count(std::uint64_t n) {
    rule_.short_counts ? number(static_cast<std::uint32_t>(n)) : number(n);
  }
  void text(const std::string& what, const std::string& value) {
    field("the length of " + what);
    const std::uint64_t n = value.size() + (rule_.text_with_zero ? 1 : 0);
    if (rule_.short_lengths) number(static_cast<std::uint32_t>(n));
    else if (!rule_.no_lengths) number(n);
    field(what);
    out_.bytes += value;
    if (rule_.text_with_zero || rule_.zero_not_counted || rule_.no_lengths) out_.bytes += '\0';
  }

  void write_setting(const std::pair<std::string, ref::SettingValue>& setting) {
    const auto& [key, value] = setting;
    if (!rule_.type_before_key) text(fmt::format("the key {}", key), key);
    field(fmt::format("the type of {}", key));
    constexpr std::uint32_t kTypes[] = {4, 6, 8};
    const auto index = static_cast<std::uint32_t>(value.index());
    if (!rule_.text_without_type || index < 2) number(rule_.types_by_index ? index : kTypes[index]);
    if (rule_.type_before_key) text(fmt::format("the key {}", key), key);
    const std::string what = fmt::format("the value of {}", key);
    if (const auto* words = std::get_if<std::string>(&value)) return text(what, *words);
    field(what);
    if (const auto* x = std::get_if<float>(&value)) return number(*x);
    number(std::get<std::uint32_t>(value));
  }

  void write_tensors(const ModelFile& file) {
    std::uint64_t offset = 0;
    for (const ModelTensor& t : file.tensors) {
      text(fmt::format("the name {}", t.name), t.name);
      field(fmt::format("the number of sizes of {}", t.name));
      rule_.long_number_of_sizes ? number(std::uint64_t{t.shape.size()})
                                 : number(static_cast<std::uint32_t>(t.shape.size()));
      const auto type = static_cast<std::uint32_t>(t.type);
      const std::uint32_t written = !rule_.tensor_types_by_index ? type
                                    : t.type == TensorType::f32  ? 0
                                    : t.type == TensorType::q4_0 ? 1
                                                                 : 2;
      if (rule_.type_before_sizes) number(written);
      for (std::size_t i = 0; i < t.shape.size(); ++i) {
        field(fmt::format("size {} of {}", i, t.name));
        const std::uint64_t size = t.shape[rule_.rows_first ? i : t.shape.size() - 1 - i];
        rule_.short_sizes ? number(static_cast<std::uint32_t>(size)) : number(size);
      }
      field(fmt::format("the type of {}", t.name));
      if (!rule_.type_before_sizes) number(written);
      field(fmt::format("the offset of {}", t.name));
      offsets_.push_back({out_.bytes.size(), offset});
      const std::uint64_t end =
          offset + (rule_.offset_not_aligned ? t.data.size() : padded(t.data.size()));
      number(rule_.offset_zero ? std::uint64_t{0} : rule_.offset_of_end ? end : offset);
      offset = end;
    }
  }

  std::uint64_t padded(std::uint64_t n) const {
    const auto a = static_cast<std::uint64_t>(rule_.alignment);
    return rule_.padded_when_aligned ? n + a - n % a : (n + a - 1) / a * a;
  }
  void pad(const char* what) {
    field(what);
    out_.bytes.resize(padded(out_.bytes.size()), '\0');
  }

  void write_data(const ModelFile& file) {
    if (!rule_.data_not_aligned) pad("the zeros in front of the data");
    out_.data = out_.end = out_.bytes.size();
    for (const auto& [at, offset] : offsets_) {
      const std::uint64_t absolute = offset + out_.data;
      if (rule_.offset_from_file) std::memcpy(out_.bytes.data() + at, &absolute, sizeof(absolute));
    }
    for (std::size_t i = 0; i < file.tensors.size(); ++i) {
      field(fmt::format("the data of {}", file.tensors[i].name));
      out_.bytes += file.tensors[i].data;
      out_.end = out_.bytes.size();
      const bool last = i + 1 == file.tensors.size();
      if (rule_.data_side_by_side || (last && rule_.end_not_padded)) continue;
      pad("the zeros behind a tensor's data");
    }
  }

  GgufRule rule_;
  GgufBytes out_;
  std::vector<std::pair<std::size_t, std::uint64_t>> offsets_;
};

inline GgufBytes gguf_exact(const ModelFile& file, const GgufRule& rule = {}) {
  return GgufOracle(rule).write(file);
}

// Files to write and read: none of anything, and sizes that do and do not fill 32 bytes.
inline ModelTensor some_tensor(std::string name, std::vector<std::uint64_t> shape,
                               TensorType type) {
  std::uint64_t n = 1;
  for (const std::uint64_t size : shape) n *= size;
  const std::uint64_t bytes = type == TensorType::f32    ? n * 4
                              : type == TensorType::q8_0 ? n / 32 * 34
                                                         : n / 32 * 18;
  std::string data;
  for (std::uint64_t i = 0; i < bytes; ++i) data += static_cast<char>(1 + (i * 7 + n) % 251);
  return {std::move(name), std::move(shape), type, std::move(data)};
}

inline std::vector<ModelFile> gguf_files() {
  const auto text = [](const char* words) { return ref::SettingValue{std::string(words)}; };
  return {{},
          {{{"general.architecture", text("gpt2")}}, {}},
          {{{"gpt2.block_count", std::uint32_t{0x01020304}},
            {"gpt2.attention.layer_norm_epsilon", 1e-5f},
            {"general.name", text("")}},
           {}},
          {{}, {some_tensor("a", {3, 32}, TensorType::q4_0)}},
          {{}, {some_tensor("w", {8}, TensorType::f32), some_tensor("v", {5}, TensorType::f32)}},
          {{{"general.name", text("two matrices")}},
           {some_tensor("blk.0.up", {3, 64}, TensorType::q8_0),
            some_tensor("blk.0.norm", {7}, TensorType::f32),
            some_tensor("blk.0.down", {2, 96}, TensorType::q4_0)}},
          {{}, {some_tensor("conv", {2, 3, 5}, TensorType::f32)}}};
}

}  // namespace tinygpt::lessons
