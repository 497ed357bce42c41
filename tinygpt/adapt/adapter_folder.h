// LoRA adapters as PEFT users know them: folders with adapter_config.json and
// adapter_model.safetensors, tensors named base_model.model.MODULE.lora_A.weight [rank, in] and
// ...lora_B.weight [out, rank].
#pragma once

#include <cstdint>
#include <filesystem>

#include "tinygpt/adapt/lora_config.h"
#include "tinygpt/train/checkpoint.h"

namespace tinygpt {

// PEFT's initialisation: A uniform in -1/sqrt(in) .. 1/sqrt(in) (Kaiming's with a = sqrt(5)), and B
// zero, so that training starts from the model as it is.
void init_adapter(Adapter<float>& adapter, std::uint64_t seed);

// Writes both files atomically, which peft loads. The folder is made where there is none.
void save_adapter(const Adapter<float>& adapter, const LoraConfig& config, const GptConfig& model,
                  const std::filesystem::path& folder);

// An adapter for passes of up to `rows` tokens of the model, as the folder has it. Throws Error,
// naming file and tensor, where the config is not one for it (read_lora_config), or a tensor is
// unexpected, misshapen, not finite or without its other half; all that before anything is
// allocated for it.
Adapter<float> load_adapter(const Gpt<float>& model, const std::filesystem::path& folder, int rows);

// How a training of the adapter writes and reads checkpoints.
Product adapter_product(Adapter<float>& adapter, const LoraConfig& config, const GptConfig& model);

}  // namespace tinygpt
