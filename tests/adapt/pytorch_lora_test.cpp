// Adapters beside our models against the same ones in PyTorch: the numbers are those of
// tests/interop/regenerate_lora.py.
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/adapt/adapted.h"
#include "tests/support/catch.h"
#include "tinygpt/core/file.h"
#include "tinygpt/model/folder.h"

using namespace tinygpt;
using namespace tinygpt::testing;
using nlohmann::json;

namespace {

json numbers_in(const std::filesystem::path& folder) {
  return json::parse(read_file(folder / "numbers.json"));
}

std::vector<int> batch_of(const json& step) {
  std::vector<int> all;
  for (const json& row : step) {
    for (const json& value : row) all.push_back(value.get<int>());
  }
  return all;
}

// A model of PyTorch's, frozen, with PyTorch's adapter beside it.
struct Case {
  Case(const std::string& name, const Ops<float>& ops)
      : folder(std::filesystem::path(TINYGPT_INTEROP_FOLDER) / name),
        batches(numbers_in(folder)),
        numbers(numbers_in(folder / "lora")) {
    const GptConfig config = read_model_config(folder);
    B = static_cast<int>(batches["tokens"][0].size());
    T = static_cast<int>(batches["tokens"][0][0].size());
    model = make_gpt(config, ops, host_memory(), Purpose::adapting, B, T);
    load_parameters(model, folder);
    adapter = load_adapter(model, folder / "lora", B * T);
    model.adapter = &adapter;
  }
  float forward_step(std::size_t step) {
    return forward(model, batch_of(batches["tokens"][step]), batch_of(batches["targets"][step]), B,
                   T);
  }
  std::filesystem::path folder;
  json batches, numbers;
  int B = 0, T = 0;
  Gpt<float> model;
  Adapter<float> adapter;
};

std::vector<float> slice(const float* values, std::int64_t n) { return {values, values + n}; }

}  // namespace

TEST_CASE("loss and every gradient of an adapter are PyTorch's",
          "[adapter][pytorch][backward][lesson-19]") {
  for (const std::string name : {"gpt2", "llama"}) {
    for (const NamedOps& table : tables_with_fused()) {
      Case c(name, table.ops);
      INFO(name << " on " << table.name);
      zero_gradients(c.model);
      CHECK(std::abs(c.forward_step(0) - c.numbers["loss"].get<double>()) < 2e-6);
      backward(c.model);
      std::vector<float> expected(static_cast<std::size_t>(c.adapter.layout.total));
      adapter_product(c.adapter, read_lora_config(c.folder / "lora"), c.model.config)
          .load_values(expected.data(), c.folder / "lora" / "gradients.safetensors");
      for (const AdapterPart& p : c.adapter.layout.parts) {
        INFO(p.module);
        const std::int64_t a = std::int64_t{3} * p.in, b = std::int64_t{3} * p.out;
        CHECK(relative_difference(slice(c.adapter.grads() + p.a, a),
                                  slice(expected.data() + p.a, a)) < 2e-5);
        CHECK(relative_difference(slice(c.adapter.grads() + p.b, b),
                                  slice(expected.data() + p.b, b)) < 2e-5);
      }
    }
  }
}

TEST_CASE("ten steps of AdamW over an adapter lose what PyTorch's lose",
          "[adapter][pytorch][training][lesson-19]") {
  for (const std::string name : {"gpt2", "llama"}) {
    for (const NamedOps& table : tables_with_fused()) {
      Case c(name, table.ops);
      INFO(name << " on " << table.name);
      const json& a = c.numbers["adamw"];
      const std::int64_t n = c.adapter.layout.total;
      std::vector<float> m(static_cast<std::size_t>(n)), v(m);
      std::vector<float> scratch(static_cast<std::size_t>(table.ops.gradient_norm_scratch_size(n)));
      AdamwSettings settings{a["lr"].get<float>(), a["beta1"].get<float>(), a["beta2"].get<float>(),
                             a["eps"].get<float>(), a["weight_decay"].get<float>()};
      for (std::size_t step = 0; step < 10; ++step) {
        zero_gradients(c.model);
        CHECK(c.forward_step(step) ==
              Approx(c.numbers["losses"][step].get<double>()).epsilon(2e-6));
        backward(c.model);
        float norm = 0;
        table.ops.gradient_norm(&norm, c.adapter.grads(), scratch.data(), n);
        CHECK(norm == Approx(c.numbers["gradient_norms"][step].get<double>()).epsilon(2e-5));
        table.ops.clip_gradients(c.adapter.grads(), &norm, n, a["clip"].get<float>());
        settings.step = static_cast<int>(step) + 1;
        table.ops.adamw_step(c.adapter.params(), nullptr, m.data(), v.data(), c.adapter.grads(), n,
                             settings);
      }
    }
  }
}
