#include "tinygpt/cli/inference_model.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gguf_model.h"

namespace tinygpt::cli {

std::int64_t weight_bytes(const ModelSource& source, const Kernels& kernels) {
  return source.gguf
             ? gguf_weight_bytes(*source.gguf, kernels.ops)
             : memory_ledger(source.config, kernels.ops, Purpose::inference, 1, 1).parameters;
}

InferenceModel load_inference_model(const ModelSource& source, const Kernels& kernels) {
  InferenceModel m;
  if (source.gguf) {
    m.gguf = open_gguf_weights(source.path, kernels.ops, kernels.memory);
    m.weights = m.gguf->weights;
  } else {
    m.gpt = make_gpt(source.config, kernels.ops, kernels.memory, Purpose::inference, 1, 1);
    load_parameters(*m.gpt, source.path);
    m.weights = weights_of(*m.gpt);
  }
  return m;
}

void load_adapters(InferenceModel& model, const std::vector<std::string>& folders, int rows) {
  check(folders.empty() || model.gpt.has_value(),
        "--adapter: goes with a model's folder; of a GGUF file, merge the adapter first (tinygpt "
        "merge) and quantize what comes out");
  for (const std::string& folder : folders) {
    model.adapters.push_back(load_adapter(*model.gpt, folder, rows));
  }
  for (Adapter<float>& adapter : model.adapters) {
    model.gpt->adapter = &adapter;
    model.adapted.push_back(weights_of(*model.gpt));
  }
  if (model.gpt) model.gpt->adapter = nullptr;
}

void add_sampling_options(CLI::App& command, GenerateSettings& settings) {
  SamplingSettings& s = settings.sampling;
  command
      .add_option("--temperature", s.temperature, "0: always the likeliest token; 1: as learned")
      ->capture_default_str();
  command.add_option("--top-k", s.top_k, "Draw from the k likeliest tokens only (0: all)")
      ->capture_default_str();
  command
      .add_option("--top-p", s.top_p, "Draw from the likeliest tokens that hold this probability")
      ->capture_default_str();
  add_seed_option(command, settings.seed, "Equal seeds write equal texts");
}

void add_engine_options(CLI::App& command, EngineOptions& options) {
  command
      .add_option("--cache", options.cache,
                  "Keys and values of the text so far in f32, bf16 (half the memory) or int8 (a "
                  "quarter)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  command
      .add_option("--context", options.context_end,
                  "Where the text meets the end of the model's context: end, or slide (forget the "
                  "oldest half and go on)")
      ->check(CLI::IsMember({"end", "slide"}))
      ->capture_default_str();
}

CacheType cache_type(const EngineOptions& options) {
  if (options.cache == "bf16") return CacheType::bf16;
  return options.cache == "int8" ? CacheType::int8 : CacheType::f32;
}

ContextEnd context_end(const EngineOptions& options) {
  return options.context_end == "end" ? ContextEnd::stop : ContextEnd::slide;
}

void check_engine_memory(const ModelSource& source, const Kernels& kernels,
                         const EngineSettings& settings) {
  const EngineLedger ledger = engine_ledger(source.config, kernels.ops, settings);
  const auto gb = [](std::int64_t bytes) { return static_cast<double>(bytes) * 1e-9; };
  const std::int64_t weights = weight_bytes(source, kernels);
  check_memory(kernels.memory, weights + ledger.total, source.path.string(),
               fmt::format("weights {:.3g} GB, cache {:.3g} GB (--cache bf16 or int8 takes less), "
                           "the rest {:.3g} GB; choose a smaller model, or a shorter prompt and "
                           "--max-tokens",
                           gb(weights), gb(ledger.cache), gb(ledger.activations + ledger.scratch)));
}

void print_timing(const Timing& t) {
  const auto rate = [](std::int64_t tokens, double seconds) {
    return short_number(static_cast<double>(tokens) / std::max(seconds, 1e-9));
  };
  std::string line = fmt::format("prompt: {} tokens, {} tokens/s", t.prompt_tokens,
                                 rate(t.prompt_tokens, t.prefill));
  if (t.later_tokens > 0) {
    line += fmt::format("; text: {} tokens, {} tokens/s", t.later_tokens,
                        rate(t.later_tokens, t.decode));
  }
  if (t.drafted > 0) line += fmt::format("; {} of {} drafted accepted", t.accepted, t.drafted);
  fmt::print(stderr, "{}\n", ::isatty(STDERR_FILENO) != 0 ? dim(line) : line);
}

}  // namespace tinygpt::cli
