#include "tinygpt/adapt/lora_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/json.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLargestConfig = 1 << 20;
constexpr std::size_t kMostTargets = 1 << 14;

struct Fields {
  const json& object;
  std::string name;  // of the file
};

// Null counts as absent, as it does for PEFT.
const json* find(const Fields& f, const char* field) {
  const auto found = f.object.find(field);
  return found == f.object.end() || found->is_null() ? nullptr : &*found;
}

[[noreturn]] void fail(const Fields& f, const char* field, const std::string& what) {
  throw Error(fmt::format("{}: {}: {}", f.name, field, what));
}

std::string shown(const json& value) {
  return quote_for_message(value.is_string() ? value.get_ref<const std::string&>()
                                             : value.dump(-1, ' ', true));
}

double number_of(const Fields& f, const char* field, double otherwise) {
  const json* value = find(f, field);
  if (value == nullptr) return otherwise;
  if (!value->is_number() || !std::isfinite(value->get<float>())) {
    fail(f, field, fmt::format("{} is no number in range", shown(*value)));
  }
  return value->get<double>();
}

bool flag_of(const Fields& f, const char* field) {
  const json* value = find(f, field);
  if (value == nullptr) return false;
  if (!value->is_boolean()) fail(f, field, fmt::format("{} is not true or false", shown(*value)));
  return value->get<bool>();
}

// Settings that change what the adapter computes, and that are not implemented.
void refuse_others(const Fields& f) {
  for (const char* field : {"use_dora", "lora_bias", "use_qalora"}) {
    if (flag_of(f, field)) fail(f, field, "true is not supported");
  }
  for (const char* field :
       {"rank_pattern", "alpha_pattern", "modules_to_save", "target_parameters", "megatron_config",
        "layer_replication", "trainable_token_indices", "arrow_config"}) {
    const json* value = find(f, field);
    if (value != nullptr && !value->empty()) fail(f, field, "is not supported");
  }
  const json* bias = find(f, "bias");
  if (bias != nullptr && *bias != "none") {
    fail(f, "bias", fmt::format("{} is not supported, only \"none\"", shown(*bias)));
  }
  // The others take something out of the base's weights, which this file does not hold.
  const json* init = find(f, "init_lora_weights");
  if (init == nullptr || init->is_boolean()) return;
  for (const char* known : {"gaussian", "orthogonal", "eva"}) {
    if (*init == known) return;
  }
  fail(f, "init_lora_weights", fmt::format("{} is not supported", shown(*init)));
}

std::vector<std::string> targets_of(const Fields& f) {
  const json* value = find(f, "target_modules");
  // A text is a pattern, or "all-linear". Which modules it found, the tensors say.
  if (value == nullptr || value->is_string()) return {};
  const bool is_list = value->is_array() && value->size() <= kMostTargets &&
                       std::all_of(value->begin(), value->end(), [](const json& target) {
                         return target.is_string() && !target.get_ref<const std::string&>().empty();
                       });
  if (!is_list) fail(f, "target_modules", "is neither a list of names nor a pattern");
  return value->get<std::vector<std::string>>();
}

// The last parts of the modules' names: what a user would type.
std::vector<std::string> short_names(const std::vector<AdapterPart>& modules) {
  std::vector<std::string> names;
  for (const AdapterPart& part : modules) {
    std::string name = part.module.substr(part.module.rfind('.') + 1);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

}  // namespace

bool is_target(std::string_view module, std::string_view target) {
  if (!module.ends_with(target)) return false;
  return module.size() == target.size() || module[module.size() - target.size() - 1] == '.';
}

float lora_scale(const LoraConfig& config) {
  const auto rank = static_cast<float>(config.rank);
  return config.alpha / (config.rank_stabilized ? std::sqrt(rank) : rank);
}

AdapterLayout lora_layout(const LoraConfig& config, const GptConfig& model) {
  const std::vector<AdapterPart> modules = adaptable_modules(model);
  std::vector<bool> chosen(modules.size(), config.targets.empty());
  for (const std::string& target : config.targets) {
    bool known = false;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      if (!is_target(modules[i].module, target)) continue;
      known = chosen[i] = true;
    }
    check(known, [&] {
      return fmt::format("--targets: no linear layer of this model is called {}; there are: {}",
                         quote_for_message(target), fmt::join(short_names(modules), ", "));
    });
  }
  std::vector<AdapterPart> parts;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (chosen[i]) parts.push_back(modules[i]);
  }
  return make_adapter_layout(std::move(parts), config.rank, lora_scale(config), config.dropout);
}

LoraConfig parse_lora_config(std::string_view text, const std::string& name) {
  const json root = parse_json(text, name);
  check(root.is_object(), [&] { return name + ": is no JSON object"; });
  const Fields f{root, name};
  const json* type = find(f, "peft_type");
  if (type == nullptr) fail(f, "peft_type", "is missing");
  if (*type != "LORA") fail(f, "peft_type", fmt::format("{} is not LoRA", shown(*type)));
  refuse_others(f);
  LoraConfig config;
  const double rank = number_of(f, "r", 8);
  if (!(rank >= 1 && rank <= 65536 && rank == std::floor(rank))) {
    fail(f, "r", fmt::format("{} is no rank from 1 to 65536", rank));
  }
  config.rank = static_cast<int>(rank);
  config.alpha = static_cast<float>(number_of(f, "lora_alpha", 8));
  config.dropout = static_cast<float>(number_of(f, "lora_dropout", 0));
  if (!(config.dropout >= 0 && config.dropout < 1)) {
    fail(f, "lora_dropout", fmt::format("{} is not from 0 to 1", config.dropout));
  }
  config.rank_stabilized = flag_of(f, "use_rslora");
  config.targets = targets_of(f);
  const json* base = find(f, "base_model_name_or_path");
  if (base != nullptr && base->is_string()) config.base = base->get<std::string>();
  return config;
}

LoraConfig read_lora_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "adapter_config.json";
  return parse_lora_config(read_file(file, kLargestConfig), file.string());
}

std::string lora_config_json(const LoraConfig& config, const std::vector<std::string>& targets,
                             Family family) {
  const bool whole = config.alpha == std::floor(config.alpha) && std::fabs(config.alpha) < 1e9f;
  const json root = {
      {"peft_type", "LORA"},
      {"task_type", "CAUSAL_LM"},
      {"base_model_name_or_path", config.base.empty() ? json() : json(config.base)},
      {"r", config.rank},
      {"lora_alpha", whole ? json(static_cast<std::int64_t>(config.alpha)) : json(config.alpha)},
      {"lora_dropout", config.dropout},
      {"use_rslora", config.rank_stabilized},
      {"target_modules", targets},
      {"fan_in_fan_out", family == Family::gpt2},
      {"bias", "none"},
      {"inference_mode", true},
      {"init_lora_weights", true}};
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace tinygpt
