#include "tinygpt/model/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/model/weights.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;

// Everything has been checked; from here on nothing can fail.
void copy_weights(const WeightFiles& weights, float* values) {
  std::vector<float> turned;
  for (const FoundTensor& found : weights.tensors) {
    const FileTensor& t = found.tensor;
    const std::span<float> to(values + t.offset, static_cast<std::size_t>(t.size()));
    if (!t.transposed) {
      copy_as_float(to, found.view);
      continue;
    }
    turned.resize(to.size());
    copy_as_float(turned, found.view);
    for (std::int64_t r = 0; r < t.rows; ++r) {
      for (std::int64_t c = 0; c < t.cols; ++c) {
        values[t.offset + r * t.cols + c] = turned[static_cast<std::size_t>(c * t.rows + r)];
      }
    }
  }
}

// A model with such a value writes nothing but nonsense, and not one of its losses is a number.
void check_finite(const WeightFiles& weights, const float* values, const fs::path& folder) {
  for (const FoundTensor& found : weights.tensors) {
    const FileTensor& t = found.tensor;
    const bool finite = std::all_of(values + t.offset, values + t.offset + t.size(),
                                    [](float x) { return std::isfinite(x); });
    check(finite, [&] {
      return fmt::format("{}: tensor {} holds a value that is not finite", folder.string(), t.name);
    });
  }
}

void write_tensor(const FileTensor& t, const float* values, const Sink& sink) {
  const float* from = values + t.offset;
  if (!t.transposed) {
    sink(from, static_cast<std::size_t>(t.size()) * sizeof(float));
    return;
  }
  std::vector<float> column(static_cast<std::size_t>(t.rows));
  for (std::int64_t c = 0; c < t.cols; ++c) {
    for (std::int64_t r = 0; r < t.rows; ++r) {
      column[static_cast<std::size_t>(r)] = from[r * t.cols + c];
    }
    sink(column.data(), column.size() * sizeof(float));
  }
}

}  // namespace

void check_has_weights(const fs::path& folder) {
  check(has_weights(folder), [&] {
    return fmt::format("{}: cannot be opened: there is no such file",
                       (folder / "model.safetensors").string());
  });
}

void load_parameters(Gpt<float>& model, const fs::path& folder) {
  const WeightFiles weights = open_weights(model.layout, model.config, folder);
  Buffer<float> values(model.layout.total);
  std::fill_n(values.data(), values.size(), 0.0f);  // the padding between tensors stays zero
  copy_weights(weights, values.data());
  check_finite(weights, values.data(), folder);
  model.memory.copy_in(model.params(), values.data(), values.span().size_bytes());
}

void save_model(const Gpt<float>& model, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(fs::is_directory(folder),
        [&] { return fmt::format("{}: cannot be made a folder", folder.string()); });
  Buffer<float> values(model.layout.total);
  model.memory.copy_out(values.data(), model.params(), values.span().size_bytes());
  save_tensors(model.layout, model.config, values.data(), folder / "model.safetensors");
  write_model_config(model.config, folder);
}

void save_folder(const Gpt<float>& model, const std::string& tokenizer_json,
                 const fs::path& folder) {
  const std::string config = tokenizer_config_json(model.config, tokenizer_json);
  save_model(model, folder);
  write_file_atomically(folder / "tokenizer.json", tokenizer_json);
  write_file_atomically(folder / "tokenizer_config.json", config);
}

void save_tensors(const ParameterLayout& layout, const GptConfig& config, const float* values,
                  const fs::path& file) {
  std::vector<TensorSource> sources;
  for (const FileTensor& t : file_tensors(layout, config)) {
    sources.push_back(
        {t.name, t.shape, [t, values](const Sink& sink) { write_tensor(t, values, sink); }});
  }
  write_safetensors(file, sources, {{"format", "pt"}});  // transformers insists on a format
}

void load_tensors(const ParameterLayout& layout, const GptConfig& config, float* values,
                  const fs::path& file) {
  copy_weights(open_weight_file(layout, config, file), values);
}

}  // namespace tinygpt
