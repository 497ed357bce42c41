// PEFT folders: out and in again, and what is refused.
#include "tinygpt/adapt/adapter_folder.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/adapt/adapted.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/safetensors.h"

using namespace tinygpt;
using namespace tinygpt::testing;
using nlohmann::json;
using tinygpt::test::TemporaryFolder;

namespace {

// One tensor to write, all of its values `value`.
TensorSource tensor(const std::string& name, std::vector<std::int64_t> shape, float value = 0.5f) {
  std::int64_t size = 1;
  for (const std::int64_t n : shape) size *= n;
  return {name, std::move(shape), [size, value](const Sink& sink) {
            const std::vector<float> values(static_cast<std::size_t>(size), value);
            sink(values.data(), values.size() * sizeof(float));
          }};
}

constexpr const char* kAttn = "base_model.model.transformer.h.0.attn.c_attn";

std::vector<TensorSource> good_tensors() {
  return {tensor(std::string(kAttn) + ".lora_A.weight", {3, 12}),
          tensor(std::string(kAttn) + ".lora_B.weight", {36, 3})};
}

json good_config() {
  return {{"peft_type", "LORA"}, {"r", 3}, {"lora_alpha", 6}, {"target_modules", {"c_attn"}}};
}

struct Written {
  TemporaryFolder folder;
  Gpt<float> model = make_tiny(tiny_gpt2(), ref::ops(), Purpose::inference);

  Adapter<float> load(const json& config, const std::vector<TensorSource>& tensors) const {
    write_file_atomically(folder / "adapter_config.json", config.dump());
    write_safetensors(folder / "adapter_model.safetensors", tensors, {});
    return load_adapter(model, folder.path(), 24);
  }
};

}  // namespace

TEST_CASE("an adapter that is saved and loaded is the same to the bit", "[adapter][folder]") {
  for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
    for (const bool all : {true, false}) {
      const TemporaryFolder folder;
      Gpt<float> model = make_tiny(config, cpu::ops(), Purpose::inference);
      LoraConfig lora = small_lora();
      lora.dropout = 0.25f;
      lora.base = "models/b\"ase";
      if (!all) lora.targets = {config.family == Family::gpt2 ? "mlp.c_proj" : "v_proj"};
      const Adapter<float> adapter = random_adapter(model, lora, 3);
      save_adapter(adapter, lora, config, folder / "new/adapter");
      const LoraConfig read = read_lora_config(folder / "new/adapter");
      CHECK(read.rank == 3);
      CHECK(read.alpha == 5);
      CHECK(read.dropout == 0.25f);
      CHECK(read.base == lora.base);
      if (!all) CHECK(read.targets == lora.targets);
      const Adapter<float> back = load_adapter(model, folder / "new/adapter", 24);
      CHECK(back.layout.scale == 5.0f / 3.0f);
      CHECK(back.layout.parts.size() == adapter.layout.parts.size());
      CHECK(values_of(back) == values_of(adapter));
    }
  }
}

TEST_CASE("the files are called and shaped as PEFT's", "[adapter][folder]") {
  const TemporaryFolder folder;
  Gpt<float> gpt2 = make_tiny(tiny_gpt2(), ref::ops(), Purpose::inference);
  Gpt<float> llama = make_tiny(tiny_llama(), ref::ops(), Purpose::inference);
  save_adapter(random_adapter(gpt2, small_lora(), 3), small_lora(), gpt2.config, folder / "gpt2");
  save_adapter(random_adapter(llama, small_lora(), 3), small_lora(), llama.config,
               folder / "llama");
  const auto shape = [&](const char* which, const std::string& name) {
    const SafetensorsFile file = open_safetensors(folder / which / "adapter_model.safetensors");
    return file.tensors.at("base_model.model." + name).shape;
  };
  using Shape = std::vector<std::int64_t>;
  CHECK(shape("gpt2", "transformer.h.1.attn.c_attn.lora_A.weight") == Shape{3, 12});
  CHECK(shape("gpt2", "transformer.h.1.attn.c_attn.lora_B.weight") == Shape{36, 3});
  CHECK(shape("llama", "model.layers.0.self_attn.k_proj.lora_B.weight") == Shape{8, 3});
  CHECK(shape("llama", "model.layers.1.mlp.down_proj.lora_A.weight") == Shape{3, 37});
  const auto config = [&](const char* which) {
    return json::parse(read_file(folder / which / "adapter_config.json"));
  };
  CHECK(config("gpt2")["fan_in_fan_out"] == true);
  CHECK(config("llama")["fan_in_fan_out"] == false);
  CHECK(config("llama")["target_modules"] ==
        json({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}));
  CHECK(config("gpt2")["lora_alpha"] == 5);
}

TEST_CASE("what PEFT may leave out or add is read", "[adapter][folder]") {
  const Written w;
  Adapter<float> adapter = w.load(good_config(), good_tensors());
  CHECK(adapter.layout.parts.size() == 1);
  CHECK(adapter.layout.scale == 2);
  json config = good_config();
  config["use_rslora"] = true;
  config["target_modules"] = ".*attn.*";
  config["rank_pattern"] = json::object();
  config["modules_to_save"] = nullptr;
  config["some_new_field"] = 3;
  CHECK(w.load(config, good_tensors()).layout.scale == Approx(6 / std::sqrt(3.0)));
  std::vector<TensorSource> bare = good_tensors();  // of a model without a head's class
  for (TensorSource& t : bare) t.name.replace(t.name.find("transformer."), 12, "");
  CHECK(w.load(good_config(), bare).layout.parts[0].module == "transformer.h.0.attn.c_attn");
}

TEST_CASE("a config that asks for something else is refused by the field's name",
          "[adapter][folder][hostile]") {
  const Written w;
  const auto refused = [&](const char* field, const json& value, const char* says) {
    json config = good_config();
    config[field] = value;
    INFO(field << " = " << value.dump());
    CHECK_THROWS_WITH(w.load(config, good_tensors()), ContainsSubstring("adapter_config.json") &&
                                                          ContainsSubstring(field) &&
                                                          ContainsSubstring(says));
  };
  refused("peft_type", "IA3", "not LoRA");
  refused("peft_type", nullptr, "missing");
  refused("r", 0, "no rank");
  refused("r", -3, "no rank");
  refused("r", 1'000'000'000'000, "no rank");
  refused("r", 2.5, "no rank");
  refused("r", "8", "no number");
  refused("lora_alpha", 1e300, "no number");
  refused("lora_dropout", 1.0, "from 0 to 1");
  refused("use_dora", true, "not supported");
  refused("use_dora", 1, "not true or false");
  refused("bias", "all", "only \"none\"");
  refused("rank_pattern", json{{"c_attn", 4}}, "not supported");
  refused("modules_to_save", json::array({"lm_head"}), "not supported");
  refused("init_lora_weights", "pissa", "not supported");
  refused("target_modules", json::array({3}), "neither a list");
  CHECK_THROWS_WITH(w.load(json::array(), good_tensors()), ContainsSubstring("no JSON object"));
}

TEST_CASE("tensors that are not the model's are refused by name", "[adapter][folder][hostile]") {
  const Written w;
  const std::string a = std::string(kAttn) + ".lora_A.weight";
  const std::string b = std::string(kAttn) + ".lora_B.weight";
  const auto refused = [&](const std::vector<TensorSource>& tensors, const std::string& says) {
    INFO(says);
    CHECK_THROWS_WITH(w.load(good_config(), tensors),
                      ContainsSubstring("adapter_model.safetensors") && ContainsSubstring(says));
  };
  refused({}, "holds no tensor");
  refused({tensor(a, {3, 12})}, "only one of lora_A and lora_B");
  refused({tensor(a, {3, 12}), tensor(b, {3, 36})}, "[3, 36]");
  refused({tensor(a, {4, 12}), tensor(b, {36, 4})}, "[4, 12]");
  refused({tensor(a, {36}), tensor(b, {36, 3})}, "[36]");
  refused({tensor(a, {3, 12}), tensor(b, {36, 3}, std::numeric_limits<float>::infinity())},
          "not finite");
  std::vector<TensorSource> more = good_tensors();
  more.push_back(tensor("base_model.model.transformer.wte.lora_embedding_A", {3, 23}));
  refused(more, "is no half of a LoRA adapter");
  more = good_tensors();
  more.push_back(tensor("base_model.model.transformer.h.2.attn.c_attn.lora_A.weight", {3, 12}));
  more.push_back(tensor("base_model.model.transformer.h.2.attn.c_attn.lora_B.weight", {36, 3}));
  refused(more, "transformer.h.2.attn.c_attn");
  more = good_tensors();
  more.push_back(tensor("base_model.model.h.0.attn.c_attn.lora_A.weight", {3, 12}));
  refused(more, "is there twice");
}

TEST_CASE("a folder without safetensors says what to do", "[adapter][folder][hostile]") {
  const Written w;
  write_file_atomically(w.folder / "adapter_config.json", good_config().dump());
  CHECK_THROWS_WITH(load_adapter(w.model, w.folder.path(), 24),
                    ContainsSubstring("adapter_model.safetensors"));
  write_file_atomically(w.folder / "adapter_model.bin", "x");
  CHECK_THROWS_WITH(load_adapter(w.model, w.folder.path(), 24),
                    ContainsSubstring("safe_serialization=True"));
}
