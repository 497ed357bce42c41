// config.json, as transformers reads and writes it.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/weights.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kLargestConfig = 1 << 20;  // published ones take a few thousand bytes

// An object of the file. A field that is null counts as absent, as it does for transformers.
struct Fields {
  const json& object;
  std::string place;  // for messages: "out/config.json: "
};

[[noreturn]] void fail(const Fields& f, const char* field, const std::string& what) {
  throw Error(fmt::format("{}{}: {}", f.place, field, what));
}

const json* find(const Fields& f, const char* field) {
  const auto found = f.object.find(field);
  return found == f.object.end() || found->is_null() ? nullptr : &*found;
}

std::string shown(const json& value) {
  return quote_for_message(value.is_string() ? value.get_ref<const std::string&>() : value.dump());
}

int int_of(const Fields& f, const char* field, std::optional<int> otherwise = std::nullopt) {
  const json* value = find(f, field);
  if (value == nullptr) {
    if (!otherwise) fail(f, field, "is missing");
    return *otherwise;
  }
  // What does not fit is refused by check_config; here it only must not wrap around.
  // (Compared as C++ numbers: the JSON library would take 2^64 - 1 for -1.)
  const auto in_range = [](auto n) {
    return std::in_range<int>(n) && std::cmp_greater_equal(n, -1);
  };
  const bool fits = value->is_number_unsigned()
                        ? in_range(value->get<std::uint64_t>())
                        : value->is_number_integer() && in_range(value->get<std::int64_t>());
  if (!fits) fail(f, field, fmt::format("{} is no whole number in range", shown(*value)));
  return value->get<int>();
}

float float_of(const Fields& f, const char* field, float otherwise) {
  const json* value = find(f, field);
  if (value == nullptr) return otherwise;
  const bool fits = value->is_number() && std::abs(value->get<double>()) <= 1e30;
  if (!fits) fail(f, field, fmt::format("{} is no number in range", shown(*value)));
  return static_cast<float>(value->get<double>());
}

bool bool_of(const Fields& f, const char* field, bool otherwise) {
  const json* value = find(f, field);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(f, field, fmt::format("{} is not true or false", shown(*value)));
  return value->get<bool>();
}

// A setting that would change the computation, of which only one value is implemented. Absent means
// that value.
void require(const Fields& f, const char* field, const json& only) {
  const json* value = find(f, field);
  if (value != nullptr && *value != only) {
    fail(f, field, fmt::format("{} is not supported, only {}", shown(*value), only.dump()));
  }
}

void refuse(const Fields& f, const char* field) {
  if (find(f, field) != nullptr) fail(f, field, "is not supported");
}

// A token id, or a list of which the first counts. An id outside the vocabulary never occurs: it is
// the same as none.
int token_of(const Fields& f, const char* field, int vocab_size) {
  const json* value = find(f, field);
  if (value == nullptr) return -1;
  if (value->is_array() && !value->empty()) {
    const json first = {{field, value->front()}};
    return token_of({first, f.place}, field, vocab_size);
  }
  const int token = int_of(f, field);
  return token < vocab_size ? token : -1;
}

void read_tokens(GptConfig& c, const Fields& f) {
  c.bos_token = token_of(f, "bos_token_id", c.vocab_size);
  c.eos_token = token_of(f, "eos_token_id", c.vocab_size);
}

// attn_pdrop and embd_pdrop do not count: dropout is one number here, and plays a part in training
// alone.
GptConfig read_gpt2(const Fields& f) {
  const json* activation = find(f, "activation_function");
  if (activation != nullptr && *activation != "gelu_pytorch_tanh") {  // the same function
    require(f, "activation_function", "gelu_new");
  }
  require(f, "scale_attn_weights", true);
  require(f, "scale_attn_by_inverse_layer_idx", false);
  require(f, "add_cross_attention", false);
  GptConfig c;
  c.vocab_size = int_of(f, "vocab_size");
  c.context_length = int_of(f, "n_positions");
  c.width = int_of(f, "n_embd");
  c.layers = int_of(f, "n_layer");
  c.heads = c.kv_heads = int_of(f, "n_head");
  const std::int64_t usual_hidden = 4 * std::int64_t{c.width};
  c.hidden = int_of(f, "n_inner", static_cast<int>(std::min<std::int64_t>(usual_hidden, 1 << 30)));
  c.tied_head = bool_of(f, "tie_word_embeddings", true);
  c.norm_eps = float_of(f, "layer_norm_epsilon", 1e-5f);
  c.dropout = float_of(f, "resid_pdrop", 0.1f);
  c.init_std = float_of(f, "initializer_range", 0.02f);
  return c;
}

// The base lies at the top (transformers 4) or in rope_parameters (5); both may also ask for
// scaled positions.
float read_rope_base(const Fields& f) {
  float base = float_of(f, "rope_theta", 10000.0f);
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    const json* value = find(f, field);
    if (value == nullptr) continue;
    if (!value->is_object()) fail(f, field, "must be an object");
    const Fields rope{*value, fmt::format("{}{}.", f.place, field)};
    require(rope, "rope_type", "default");
    require(rope, "type", "default");
    require(rope, "partial_rotary_factor", 1.0);
    base = float_of(rope, "rope_theta", base);
  }
  return base;
}

GptConfig read_llama(const Fields& f) {
  require(f, "hidden_act", "silu");
  require(f, "attention_bias", false);
  require(f, "mlp_bias", false);
  require(f, "partial_rotary_factor", 1.0);
  GptConfig c;
  c.family = Family::llama;
  c.vocab_size = int_of(f, "vocab_size");
  c.context_length = int_of(f, "max_position_embeddings");
  c.width = int_of(f, "hidden_size");
  c.hidden = int_of(f, "intermediate_size");
  c.layers = int_of(f, "num_hidden_layers");
  c.heads = int_of(f, "num_attention_heads");
  c.kv_heads = int_of(f, "num_key_value_heads", c.heads);
  c.tied_head = bool_of(f, "tie_word_embeddings", false);
  c.norm_eps = float_of(f, "rms_norm_eps", 1e-6f);
  c.rope_base = read_rope_base(f);
  c.dropout = float_of(f, "resid_pdrop", 0.0f);  // ours; transformers' LLaMA has none
  c.init_std = float_of(f, "initializer_range", 0.02f);
  if (c.heads > 0) require(f, "head_dim", c.width / c.heads);
  return c;
}

json token_or_null(int token) { return token < 0 ? json() : json(token); }

// The shortest decimal that is this float: 1e-05, not 9.999999747378752e-06; never an integer.
json decimal(float value) {
  const std::string digits = fmt::format("{}", value);
  const bool is_whole = digits.find_first_of(".e") == std::string::npos;
  return json::parse(is_whole ? digits + ".0" : digits);
}

nlohmann::ordered_json config_of_gpt2(const GptConfig& c) {
  nlohmann::ordered_json j;
  j["architectures"] = {"GPT2LMHeadModel"};
  j["model_type"] = "gpt2";
  j["vocab_size"] = c.vocab_size;
  j["n_positions"] = c.context_length;
  j["n_ctx"] = c.context_length;
  j["n_embd"] = c.width;
  j["n_layer"] = c.layers;
  j["n_head"] = c.heads;
  j["n_inner"] = c.hidden == 4 * c.width ? json() : json(c.hidden);
  j["activation_function"] = "gelu_new";
  j["layer_norm_epsilon"] = decimal(c.norm_eps);
  j["resid_pdrop"] = j["embd_pdrop"] = decimal(c.dropout);
  j["attn_pdrop"] = 0.0;
  j["initializer_range"] = decimal(c.init_std);
  return j;
}

nlohmann::ordered_json config_of_llama(const GptConfig& c) {
  nlohmann::ordered_json j;
  j["architectures"] = {"LlamaForCausalLM"};
  j["model_type"] = "llama";
  j["vocab_size"] = c.vocab_size;
  j["max_position_embeddings"] = c.context_length;
  j["hidden_size"] = c.width;
  j["intermediate_size"] = c.hidden;
  j["num_hidden_layers"] = c.layers;
  j["num_attention_heads"] = c.heads;
  j["num_key_value_heads"] = c.kv_heads;
  j["head_dim"] = c.head_size();
  j["hidden_act"] = "silu";
  j["rms_norm_eps"] = decimal(c.norm_eps);
  j["rope_theta"] = decimal(c.rope_base);
  j["rope_scaling"] = nullptr;
  j["attention_bias"] = false;
  j["attention_dropout"] = 0.0;
  j["mlp_bias"] = false;
  if (c.dropout > 0) j["resid_pdrop"] = decimal(c.dropout);
  j["initializer_range"] = decimal(c.init_std);
  return j;
}

}  // namespace

GptConfig read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  const json root = parse_json(read_file(path, kLargestConfig), path.string());
  const Fields f{root, path.string() + ": "};
  check(root.is_object(), [&] { return f.place + "must hold a JSON object"; });
  const json* type = find(f, "model_type");
  if (type == nullptr) fail(f, "model_type", "is missing");
  if (*type != "gpt2" && *type != "llama") {
    fail(f, "model_type", fmt::format("{} is not supported, only gpt2 and llama", shown(*type)));
  }
  refuse(f, "quantization_config");
  GptConfig c = *type == "gpt2" ? read_gpt2(f) : read_llama(f);
  read_tokens(c, f);
  try {
    check_config(c);
  } catch (const Error& e) {
    throw Error(f.place + e.what());
  }
  // Before anyone makes room for a model of this shape: do the weights beside it have this shape?
  if (has_weights(folder)) open_weights(make_layout(c), c, folder);
  return c;
}

void write_model_config(const GptConfig& c, const fs::path& folder) {
  nlohmann::ordered_json j = c.family == Family::gpt2 ? config_of_gpt2(c) : config_of_llama(c);
  j["tie_word_embeddings"] = c.tied_head;
  j["bos_token_id"] = token_or_null(c.bos_token);
  j["eos_token_id"] = token_or_null(c.eos_token);
  j["torch_dtype"] = "float32";
  write_file_atomically(folder / "config.json", j.dump(2) + "\n");
}

std::string tokenizer_config_json(const GptConfig& c, const std::string& tokenizer_json) {
  const json file = parse_json(tokenizer_json, "tokenizer.json");
  nlohmann::ordered_json j;
  j["tokenizer_class"] = "PreTrainedTokenizerFast";
  j["model_max_length"] = c.context_length;
  j["clean_up_tokenization_spaces"] = false;
  if (!file.is_object() || !file.contains("added_tokens")) return j.dump(2) + "\n";
  for (const json& token : file["added_tokens"]) {
    const bool named = token.is_object() && token.contains("id") && token.contains("content") &&
                       token["id"].is_number_integer() && token["content"].is_string();
    if (!named) continue;
    if (c.bos_token >= 0 && token["id"] == c.bos_token) j["bos_token"] = token["content"];
    if (c.eos_token >= 0 && token["id"] == c.eos_token) j["eos_token"] = token["content"];
  }
  return j.dump(2) + "\n";
}

}  // namespace tinygpt
