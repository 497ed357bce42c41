#include "tinygpt/model/folder.h"

#include <sys/stat.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/model/saved_model.h"
#include "tests/support/catch.h"

using namespace tinygpt;
using namespace tinygpt::testing;
using nlohmann::json;
using tinygpt::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

template <class Change>
std::string refused_config(const GptConfig& config, Change change) {
  Saved saved(config);
  saved.change_config(change);
  return saved.refusal();
}

std::string refused_field(const GptConfig& config, const char* field, const json& value) {
  return refused_config(config, [&](json& j) { j[field] = value; });
}

template <class Change>
std::string refused_tensors(const GptConfig& config, Change change) {
  const Saved saved(config);
  saved.change_tensors(change);
  return saved.refusal();
}

}  // namespace

TEST_CASE("settings that are not implemented are refused by name", "[model][folder][hostile]") {
  const GptConfig g = tiny_gpt2(), l = tiny_llama();
  CHECK_THAT(refused_field(g, "model_type", "bert"),
             ContainsSubstring("\"bert\" is not supported"));
  CHECK_THAT(
      refused_field(g, "activation_function", "relu"),
      ContainsSubstring("activation_function: \"relu\" is not supported, only \"gelu_new\""));
  CHECK_THAT(refused_field(g, "activation_function", "gelu"), ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(g, "scale_attn_weights", false), ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(g, "scale_attn_by_inverse_layer_idx", true),
             ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(g, "add_cross_attention", true), ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(l, "hidden_act", "gelu"), ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(l, "attention_bias", true), ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(l, "mlp_bias", true), ContainsSubstring("not supported"));
  CHECK_THAT(refused_field(l, "head_dim", 8),
             ContainsSubstring("head_dim: \"8\" is not supported"));
  CHECK_THAT(refused_field(l, "rope_scaling", {{"type", "linear"}, {"factor", 2.0}}),
             ContainsSubstring("rope_scaling.type: \"linear\" is not supported"));
  CHECK_THAT(refused_field(l, "rope_parameters", {{"rope_type", "llama3"}}),
             ContainsSubstring("rope_parameters.rope_type"));
  for (const GptConfig& c : {g, l}) {
    CHECK_THAT(refused_field(c, "quantization_config", {{"bits", 4}}),
               ContainsSubstring("quantization_config: is not supported"));
  }
}

TEST_CASE("a config of wrong types or sizes is refused by field", "[model][folder][hostile]") {
  const GptConfig g = tiny_gpt2(), l = tiny_llama();
  for (const auto& [config, field] :
       std::vector<std::pair<GptConfig, const char*>>{{g, "vocab_size"},
                                                      {g, "n_positions"},
                                                      {g, "n_embd"},
                                                      {g, "n_layer"},
                                                      {g, "n_head"},
                                                      {l, "hidden_size"},
                                                      {l, "intermediate_size"},
                                                      {l, "num_hidden_layers"},
                                                      {l, "num_attention_heads"},
                                                      {l, "num_key_value_heads"},
                                                      {l, "max_position_embeddings"}}) {
    for (const json& value : {json(0), json(-1), json(-2), json(1.5), json("12"), json(true),
                              json::array(), json(1e300), json(2147483648), json(4294967308),
                              json(18446744073709551615u), json(2147483647)}) {
      CAPTURE(field, value.dump());
      const std::string message = refused_field(config, field, value);
      CHECK(message.rfind("it was accepted", 0) == std::string::npos);
      CHECK_THAT(message, ContainsSubstring("config.json: "));
    }
    const std::string missing = refused_config(config, [&](json& j) { j.erase(field); });
    if (std::string(field) != "num_key_value_heads") {
      CHECK_THAT(missing, ContainsSubstring(std::string(field) + ": is missing"));
    }
  }
  CHECK_THAT(refused_field(g, "layer_norm_epsilon", 0), ContainsSubstring("norm_eps"));
  CHECK_THAT(refused_field(g, "layer_norm_epsilon", 1e300),
             ContainsSubstring("layer_norm_epsilon"));
  CHECK_THAT(refused_field(g, "resid_pdrop", 1.5), ContainsSubstring("dropout"));
  CHECK_THAT(refused_field(g, "tie_word_embeddings", 1), ContainsSubstring("not true or false"));
  CHECK_THAT(refused_field(l, "rope_theta", -1), ContainsSubstring("rope_base"));
  CHECK_THAT(refused_field(l, "eos_token_id", "</s>"), ContainsSubstring("eos_token_id"));
  for (const json& value : {json(-5), json(18446744073709551615u), json(4294967295u)}) {
    CHECK_THAT(refused_field(l, "eos_token_id", value), ContainsSubstring("eos_token_id"));
  }
}

TEST_CASE("a config that is no JSON object is refused", "[model][folder][hostile]") {
  const Saved saved(tiny_gpt2());
  const auto refusal = [&](const std::string& text) {
    write_plainly(saved.folder / "config.json", text);
    return saved.refusal();
  };
  const std::string whole = read_file(saved.folder / "config.json");
  for (const char* text : {"", "[]", "7", "null", "{}", "{\"model_type\": 7}", "{\"a\": NaN}",
                           "{\"a\": 1e999}", "{\"a\": 1, \"a\": 2}", "\xFF"}) {
    CAPTURE(text);
    CHECK_THAT(refusal(text), ContainsSubstring("config.json: "));
  }
  CHECK_THAT(refusal(std::string(100000, '[')), ContainsSubstring("nested more than 64"));
  CHECK_THAT(refusal(whole.substr(0, whole.size() / 2)), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(std::string((1 << 20) + 1, ' ')), ContainsSubstring("1048577 bytes"));
}

TEST_CASE("weights that are not the config's are refused by tensor", "[model][folder][hostile]") {
  const GptConfig g = tiny_gpt2(), l = tiny_llama();
  const std::string name = "transformer.h.1.attn.c_attn.weight";
  CHECK_THAT(refused_tensors(g, [&](RawTensors& t) { t.erase(name); }),
             ContainsSubstring("has no tensor " + name));
  CHECK_THAT(refused_tensors(g, [&](RawTensors& t) { t["transformer.h.2.ln_1.bias"] = t[name]; }),
             ContainsSubstring("\"transformer.h.2.ln_1.bias\" does not belong"));
  CHECK_THAT(refused_tensors(g,
                             [&](RawTensors& t) {
                               t[name].shape = {36, 12};
                             }),
             ContainsSubstring("has shape [36, 12] where config.json asks for [12, 36]"));
  CHECK_THAT(refused_tensors(g, [&](RawTensors& t) { t[name].shape = {432}; }),
             ContainsSubstring("has shape [432]"));
  CHECK_THAT(refused_tensors(g, [&](RawTensors& t) { t[name].dtype = "I32"; }),
             ContainsSubstring("has dtype I32; only F32, F16 and BF16 are read"));
  CHECK_THAT(refused_tensors(g, [&](RawTensors& t) { t["h.1.attn.c_attn.weight"] = t[name]; }),
             ContainsSubstring("there twice"));
  CHECK_THAT(refused_tensors(g,
                             [](RawTensors& t) {
                               t["lm_head.weight"] = t["transformer.wte.weight"];
                               t["lm_head.weight"].bytes[5] ^= 1;
                             }),
             ContainsSubstring("lm_head.weight differs"));
  CHECK_THAT(refused_tensors(l, [](RawTensors& t) { t.erase("lm_head.weight"); }),
             ContainsSubstring("has no tensor lm_head.weight"));
  CHECK_THAT(refused_tensors(l, [](RawTensors& t) { t.clear(); }),
             ContainsSubstring("has no tensor"));
  // A config that asks for a petabyte is refused before anyone makes room for it.
  CHECK_THAT(refused_config(g,
                            [](json& j) {
                              j["n_embd"] = 1 << 18;
                              j["n_head"] = 64;
                              j["n_layer"] = 4096;
                            }),
             ContainsSubstring("where config.json asks for [23, 262144]"));
}

TEST_CASE("a folder that is none, or holds something else, is refused",
          "[model][folder][hostile]") {
  const GptConfig config = tiny_gpt2();
  const auto refusal_after = [&](const char* file, auto change) {
    const Saved saved(config);
    fs::remove(saved.folder / file);
    change(saved.folder / file);
    return saved.refusal();
  };
  for (const char* file : {"config.json", "model.safetensors"}) {
    CAPTURE(file);
    CHECK_THAT(refusal_after(file, [](const fs::path&) {}), ContainsSubstring("cannot be opened"));
    CHECK_THAT(refusal_after(file, [](const fs::path& p) { fs::create_directory(p); }),
               ContainsSubstring("not a regular file"));
    CHECK_THAT(refusal_after(file, [](const fs::path& p) { ::mkfifo(p.c_str(), 0600); }),
               ContainsSubstring("not a regular file"));
    CHECK_THAT(refusal_after(file, [](const fs::path& p) { fs::create_symlink("nowhere", p); }),
               ContainsSubstring("cannot be opened"));
  }
  const Saved saved(config);
  const std::string whole = read_file(saved.weights());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, whole.size() / 2, whole.size() - 1}) {
    write_plainly(saved.weights(), whole.substr(0, size));
    CHECK_THAT(saved.refusal(), ContainsSubstring("model.safetensors: "));
  }
}

TEST_CASE("a folder that cannot be written is refused", "[model][folder]") {
  const TemporaryFolder folder;
  write_plainly(folder / "file", "x");
  const Gpt<float> model = make_model(tiny_gpt2(), 1);
  CHECK_THROWS_WITH(save_model(model, folder / "file"),
                    ContainsSubstring("cannot be made a folder"));
  CHECK_THROWS_WITH(save_model(model, folder / "file/deeper"), ContainsSubstring("file/deeper"));
  CHECK(read_file(folder / "file") == "x");
}
