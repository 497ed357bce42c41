#include "tinygpt/model/folder.h"

#include <cstdint>
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

std::vector<GptConfig> many_configs() {
  std::vector<GptConfig> configs = {tiny_gpt2(), tiny_llama()};
  configs.push_back(tiny_gpt2());
  configs.back().tied_head = false;
  configs.back().hidden = 31;
  configs.back().dropout = 0.25f;
  configs.back().norm_eps = 3e-6f;
  configs.back().bos_token = 0;
  configs.back().eos_token = 22;
  configs.push_back(tiny_llama());
  configs.back().tied_head = true;
  configs.back().kv_heads = 4;
  configs.back().rope_base = 500000;
  configs.back().dropout = 0.1f;
  configs.back().norm_eps = 1e-6f;
  configs.push_back(tiny_llama());
  configs.back().kv_heads = 1;
  configs.back().eos_token = 7;
  return configs;
}

}  // namespace

TEST_CASE("a saved model comes back to the bit", "[model][folder]") {
  for (const GptConfig& config : many_configs()) {
    const TemporaryFolder folder;
    const Gpt<float> model = make_model(config, 1);
    save_model(model, folder / "deep/inside");
    CHECK(read_model_config(folder / "deep/inside") == config);
    Gpt<float> back = make_model(config, 2);
    load_parameters(back, folder / "deep/inside");
    for (const Parameter& p : model.layout.parameters) {
      CAPTURE(p.name);
      CHECK(std::memcmp(back.params() + p.offset, model.params() + p.offset,
                        static_cast<std::size_t>(p.size()) * sizeof(float)) == 0);
    }
    // Saving is deterministic: the same model, the same files.
    save_model(back, folder / "again");
    for (const char* file : {"config.json", "model.safetensors"}) {
      CHECK(read_file(folder / "again" / file) == read_file(folder / "deep/inside" / file));
    }
  }
}

TEST_CASE("tensors laid out like the parameters come back to the bit", "[model][folder]") {
  const TemporaryFolder folder;
  const Gpt<float> model = make_model(tiny_llama(), 1);
  save_tensors(model.layout, model.config, model.params(), folder / "m.safetensors");
  const Gpt<float> back = make_model(tiny_llama(), 2);
  load_tensors(back.layout, back.config, back.params(), folder / "m.safetensors");
  for (const Parameter& p : model.layout.parameters) {
    CHECK(std::equal(model.params() + p.offset, model.params() + p.offset + p.size(),
                     back.params() + p.offset));
  }
}

TEST_CASE("files carry the names and shapes that transformers gives them", "[model][folder]") {
  const Saved gpt2(tiny_gpt2());
  const RawTensors g = read_raw(gpt2.weights());
  CHECK(g.size() == 2 + 2 * 12 + 2);
  CHECK(g.at("transformer.h.1.attn.c_attn.weight").shape == std::vector<std::int64_t>{12, 36});
  CHECK(g.at("transformer.h.1.mlp.c_fc.weight").shape == std::vector<std::int64_t>{12, 48});
  CHECK(g.at("transformer.h.0.mlp.c_proj.weight").shape == std::vector<std::int64_t>{48, 12});
  CHECK(g.at("transformer.wpe.weight").shape == std::vector<std::int64_t>{9, 12});
  CHECK(g.at("transformer.ln_f.bias").shape == std::vector<std::int64_t>{12});
  const Saved llama(tiny_llama());
  const RawTensors l = read_raw(llama.weights());
  CHECK(l.size() == 1 + 2 * 9 + 2);
  CHECK(l.at("model.layers.1.self_attn.q_proj.weight").shape == std::vector<std::int64_t>{16, 16});
  CHECK(l.at("model.layers.1.self_attn.v_proj.weight").shape == std::vector<std::int64_t>{8, 16});
  CHECK(l.at("model.layers.0.mlp.gate_proj.weight").shape == std::vector<std::int64_t>{37, 16});
  CHECK(l.at("lm_head.weight").shape == std::vector<std::int64_t>{23, 16});
}

TEST_CASE("other spellings of the same model are read", "[model][folder]") {
  Saved saved(tiny_gpt2());
  saved.change_tensors([](RawTensors& tensors) {
    RawTensors bare;
    for (const auto& [name, t] : tensors) bare[name.substr(std::strlen("transformer."))] = t;
    bare["h.0.attn.bias"] = {"U8", {1, 1, 2, 2}, "\1\0\1\1"};
    bare["h.0.attn.bias"].bytes.resize(4);
    bare["lm_head.weight"] = tensors.at("transformer.wte.weight");
    tensors = bare;
  });
  saved.change_config([](json& j) {
    for (const char* field : {"n_inner", "tie_word_embeddings", "bos_token_id", "torch_dtype"}) {
      j.erase(field);
    }
    j["eos_token_id"] = 50256;  // never occurs: none
    j["activation_function"] = "gelu_pytorch_tanh";
    j["attn_pdrop"] = j["embd_pdrop"] = 0.1;
    j["task_specific_params"] = {{"text-generation", {{"do_sample", true}}}};
  });
  CHECK(saved.refusal() == "it was accepted");

  Saved llama(tiny_llama());
  llama.change_config([](json& j) {
    j.erase("rope_theta");
    j.erase("head_dim");
    j["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 10000}};
    j["eos_token_id"] = json::array({99, 3});
  });
  CHECK(llama.refusal() == "it was accepted");
}

TEST_CASE("half floats are read as their values", "[model][folder]") {
  const GptConfig config = tiny_llama();
  for (const std::string dtype : {"BF16", "F16"}) {
    const Saved saved(config);
    saved.change_tensors([&](RawTensors& tensors) {
      for (auto& [name, t] : tensors) {
        t.dtype = dtype;
        std::string halves;
        for (std::size_t i = 0; i < t.bytes.size() / 4; ++i) {
          halves += '\0';
          halves += static_cast<char>(i % 2 == 0 ? 0x3E : 0xBE);  // 1/8 in bfloat16, 1.5 in half
        }
        t.bytes = halves;
      }
    });
    Gpt<float> model = make_model(config, 2);
    load_parameters(model, saved.path());
    const float value = dtype == "F16" ? 1.5f : 0.125f;
    for (const Parameter& p : model.layout.parameters) {
      for (std::int64_t i = 0; i < p.size(); ++i) {
        REQUIRE(std::abs(model.params()[p.offset + i]) == value);
      }
    }
  }
}

TEST_CASE("a model in shards is read", "[model][folder]") {
  const Saved saved(tiny_llama());
  const RawTensors tensors = read_raw(saved.weights());
  RawTensors shards[3];
  json map = json::object();
  int i = 0;
  for (const auto& [name, t] : tensors) {
    shards[i % 3][name] = t;
    map[name] = "part-" + std::to_string(i++ % 3) + ".safetensors";
  }
  for (int s = 0; s < 3; ++s) {
    write_raw(saved.folder / ("part-" + std::to_string(s) + ".safetensors"), shards[s]);
  }
  fs::remove(saved.weights());
  const fs::path index = saved.folder / "model.safetensors.index.json";
  const auto refusal_with = [&](const json& weight_map) {
    write_plainly(index,
                  json{{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}}.dump());
    return saved.refusal();
  };
  CHECK(refusal_with(map) == "it was accepted");

  const std::string first = map.begin().key();
  for (const char* name : {"../part-0.safetensors", "/part-0.safetensors", "a/b.safetensors",
                           "config.json", "", ".safetensors"}) {
    json bad = map;
    bad[first] = name;
    CHECK_THAT(refusal_with(bad), ContainsSubstring("is no name of a shard"));
  }
  json bad = map;
  bad[first] = "part-1.safetensors";
  CHECK_THAT(refusal_with(bad), ContainsSubstring("weight_map does not say"));
  bad[first] = "part-9.safetensors";
  CHECK_THAT(refusal_with(bad), ContainsSubstring("part-"));
  CHECK_THAT(refusal_with(json::object()), ContainsSubstring("names 0 files"));
  CHECK_THAT(refusal_with(7), ContainsSubstring("no object weight_map"));
  shards[1][first] = tensors.at(first);
  write_raw(saved.folder / "part-1.safetensors", shards[1]);
  CHECK(refusal_with(map) != "it was accepted");
}

TEST_CASE("a folder tells transformers which tokenizer it has, and which tokens end a text",
          "[model][folder]") {
  GptConfig c = tiny_gpt2();
  c.eos_token = 22;
  const std::string tokenizer =
      "{\"added_tokens\": [7, {\"id\": 22}, {\"id\": \"22\", \"content\": \"no\"}, "
      "{\"id\": -1, \"content\": \"none\"}, {\"id\": 22, \"content\": \"<|end|>\"}]}";
  const TemporaryFolder folder;
  save_folder(make_model(c, 1), tokenizer, folder.path());
  CHECK(read_file(folder / "tokenizer.json") == tokenizer);
  const nlohmann::json config = read_json(folder / "tokenizer_config.json");
  CHECK(config == nlohmann::json{{"tokenizer_class", "PreTrainedTokenizerFast"},
                                 {"model_max_length", 9},
                                 {"clean_up_tokenization_spaces", false},
                                 {"eos_token", "<|end|>"}});
  for (const char* other :
       {"{}", "[]", "{\"added_tokens\": 7}", "{\"added_tokens\": {\"a\": 1}}"}) {
    CAPTURE(other);
    CHECK(tokenizer_config_json(c, other).find("eos_token") == std::string::npos);
  }
  // What is no JSON is refused before anything is written.
  CHECK_THROWS_AS(save_folder(make_model(c, 1), "{", folder / "new"), Error);
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
}
