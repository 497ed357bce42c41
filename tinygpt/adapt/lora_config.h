// What a LoRA adapter is told to be: PEFT's adapter_config.json.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/model/adapter.h"

namespace tinygpt {

struct LoraConfig {
  int rank = 8;
  float alpha = 16;  // what B A is scaled by is alpha / rank: alpha need not follow the rank
  float dropout = 0;
  bool rank_stabilized = false;  // alpha / sqrt(rank) instead: Kalajdzievski (2023), "rsLoRA"
  // Ends of module names, as PEFT matches them: "q_proj", "c_attn", "mlp.c_proj" ...; empty: every
  // linear layer of the blocks.
  std::vector<std::string> targets;
  std::string base;  // the model that the adapter was trained beside, as its maker called it
};

// The config's adapter of a model. Throws Error on a target that no module is called by, naming
// those that there are, and on values out of range.
AdapterLayout lora_layout(const LoraConfig& config, const GptConfig& model);

float lora_scale(const LoraConfig& config);

// Whether PEFT would find `module` by `target`.
bool is_target(std::string_view module, std::string_view target);

// Reads adapter_config.json. Throws Error, naming the file and the field, on another method than
// LoRA, and on settings that change the computation and are not implemented (DoRA, ranks that
// differ between modules, trained biases, base weights that initialisation changed).
LoraConfig read_lora_config(const std::filesystem::path& folder);
LoraConfig parse_lora_config(std::string_view text, const std::string& name);

// The file's text. GPT-2's layers keep their weights [in, out], which PEFT has to be told.
std::string lora_config_json(const LoraConfig& config, const std::vector<std::string>& targets,
                             Family family);

}  // namespace tinygpt
