// A model as Hugging Face users know it: a folder with config.json and model.safetensors.
#pragma once

#include <filesystem>
#include <string>

#include "tinygpt/model/gpt.h"

namespace tinygpt {

// Reads and checks config.json. model_type is "gpt2" or "llama"; fields that change the
// computation and that this project does not implement (another activation, scaled positions,
// biases where there are none, ...) are refused by name.
GptConfig read_model_config(const std::filesystem::path& folder);

// Throws Error where a folder has a config alone: to be called before making room for its weights.
void check_has_weights(const std::filesystem::path& folder);

// Reads model.safetensors (or the shards that model.safetensors.index.json names) into the model's
// parameters: F32, F16 or BF16. A tensor that is missing, unexpected or misshapen, or holds a value
// that is not finite, throws Error and leaves the model as it was.
void load_parameters(Gpt<float>& model, const std::filesystem::path& folder);

// Writes config.json and model.safetensors atomically, under the tensor names and orientations that
// transformers loads (GPT2LMHeadModel: Conv1D weights [in, out]; LlamaForCausalLM).
void save_model(const Gpt<float>& model, const std::filesystem::path& folder);

// save_model's files, tokenizer.json of this content, and tokenizer_config.json: a whole folder, as
// transformers opens one.
void save_folder(const Gpt<float>& model, const std::string& tokenizer_json,
                 const std::filesystem::path& folder);

// The content of tokenizer_config.json beside a tokenizer.json of that content: what transformers'
// AutoTokenizer asks for, namely the class, the context's length and which tokens begin and end a
// text. Throws Error where the other is no JSON.
std::string tokenizer_config_json(const GptConfig& config, const std::string& tokenizer_json);

// Any buffer laid out like the parameters (the optimizer's moments), as one file like theirs.
void save_tensors(const ParameterLayout& layout, const GptConfig& config, const float* values,
                  const std::filesystem::path& file);
void load_tensors(const ParameterLayout& layout, const GptConfig& config, float* values,
                  const std::filesystem::path& file);

}  // namespace tinygpt
