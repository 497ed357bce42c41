// A model to write text with, from a folder or a GGUF file, and the engine's options.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tinygpt/cli/kernels.h"
#include "tinygpt/cli/model_source.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/model/adapter.h"

namespace tinygpt::cli {

// Bytes that the weights will take of the device's memory.
std::int64_t weight_bytes(const ModelSource& source, const Kernels& kernels);

// Weights in the device's memory and the view of them.
struct InferenceModel {
  std::optional<Gpt<float>> gpt;
  std::unique_ptr<GgufWeights> gguf;
  ModelWeights<float> weights;
  std::vector<Adapter<float>> adapters;      // all beside the one base
  std::vector<ModelWeights<float>> adapted;  // the weights with each of them
};
InferenceModel load_inference_model(const ModelSource& source, const Kernels& kernels);

// LoRA adapters' folders, for an engine of so many rows. Throws Error where one does not belong to
// the model, or the model is a GGUF file.
void load_adapters(InferenceModel& model, const std::vector<std::string>& folders, int rows);

// --temperature, --top-k, --top-p and --seed
void add_sampling_options(CLI::App& command, GenerateSettings& settings);

struct EngineOptions {
  std::string cache = "f32";
  std::string context_end = "slide";
};
void add_engine_options(CLI::App& command, EngineOptions& options);
CacheType cache_type(const EngineOptions& options);
ContextEnd context_end(const EngineOptions& options);

// Refuses what does not fit the memory, with the cost of each part.
void check_engine_memory(const ModelSource& source, const Kernels& kernels,
                         const EngineSettings& settings);

// "prompt: 12 tokens, 345 tokens/s; text: 48 tokens, 67 tokens/s", on standard error.
void print_timing(const Timing& timing);

}  // namespace tinygpt::cli
