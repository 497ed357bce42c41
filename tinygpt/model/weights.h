// The weight files of a model's folder, checked against the model's layout.
#pragma once

#include <filesystem>
#include <vector>

#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/file_tensors.h"

namespace tinygpt {

// One of our tensors and where a file has it.
struct FoundTensor {
  FileTensor tensor;
  TensorView view;
};

struct WeightFiles {
  std::vector<SafetensorsFile> files;  // one, or the shards
  std::vector<FoundTensor> tensors;    // every tensor of the layout
};

bool has_weights(const std::filesystem::path& folder);

// Opens model.safetensors, or the shards that model.safetensors.index.json names. Throws Error
// unless they hold exactly the layout's tensors, each with the right shape and a float type.
// (Constant buffers of older files, and a copy of a tied head, may be there too.)
WeightFiles open_weights(const ParameterLayout& layout, const GptConfig& config,
                         const std::filesystem::path& folder);

// The same for one file of tensors laid out like the parameters.
WeightFiles open_weight_file(const ParameterLayout& layout, const GptConfig& config,
                             const std::filesystem::path& file);

// config.json alone.
void write_model_config(const GptConfig& config, const std::filesystem::path& folder);

}  // namespace tinygpt
