// Our models against the same ones in PyTorch: the numbers are regenerate.py's.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "solutions/table.h"
#include "tests/support/catch.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gpt.h"

using namespace tinygpt;
using nlohmann::json;

namespace {

const std::filesystem::path kFolder = TINYGPT_INTEROP_FOLDER;

std::vector<NamedOps> tables() {
  NamedOps plain{"cpu without fused operators", cpu::ops()};
  for_each_entry<float>([&](std::string_view group, auto entry) {
    if (group == "fused") plain.ops.*entry = nullptr;
  });
  return {{"ref", ref::ops()}, {"cpu", cpu::ops()}, plain};
}

// A model from PyTorch with everything that PyTorch says about it.
struct Case {
  Case(const std::string& name, const Ops<float>& ops) : folder(kFolder / name) {
    numbers = json::parse(read_file(folder / "numbers.json"));
    const GptConfig config = read_model_config(folder);
    B = static_cast<int>(numbers["tokens"][0].size());
    T = static_cast<int>(numbers["tokens"][0][0].size());
    model = make_gpt(config, ops, host_memory(), Purpose::training, B, T);
    load_parameters(model, folder);
  }
  // The batch of a step, sequence by sequence.
  std::vector<int> batch(const char* what, int step) const {
    std::vector<int> all;
    for (const json& row : numbers[what][static_cast<std::size_t>(step)]) {
      for (const json& value : row) all.push_back(value.get<int>());
    }
    return all;
  }
  float forward_step(int step) {
    return forward(model, batch("tokens", step), batch("targets", step), B, T);
  }
  std::filesystem::path folder;
  json numbers;
  int B = 0, T = 0;
  Gpt<float> model;
};

// The larger of |a - b| / |b| in the Euclidean norm and in the largest value. NaN stays NaN, and so
// passes no comparison.
double relative_error(std::span<const float> actual, std::span<const float> expected) {
  double difference = 0, norm = 0, most_difference = 0, most = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = double{actual[i]} - expected[i];
    difference += d * d;
    norm += double{expected[i]} * expected[i];
    most_difference = std::max(most_difference, std::abs(d));
    most = std::max(most, std::abs(double{expected[i]}));
  }
  const double by_norm = std::sqrt(difference / norm), by_most = most_difference / most;
  return by_norm > by_most ? by_norm : std::isnan(by_norm) ? by_norm : by_most;
}

void clip_and_step(Case& c, std::vector<float>& m, std::vector<float>& v, int step,
                   double expected_norm) {
  const json& a = c.numbers["adamw"];
  Gpt<float>& model = c.model;
  const std::int64_t n = model.layout.total;
  std::vector<float> scratch(static_cast<std::size_t>(model.ops.gradient_norm_scratch_size(n)));
  float norm = 0;
  model.ops.gradient_norm(&norm, model.grads(), scratch.data(), n);
  CHECK(norm == Approx(expected_norm).epsilon(1e-5));
  model.ops.clip_gradients(model.grads(), &norm, n, a["clip"].get<float>());
  AdamwSettings settings{a["lr"].get<float>(), a["beta1"].get<float>(), a["beta2"].get<float>(),
                         a["eps"].get<float>()};
  settings.step = step + 1;
  for (const Parameter& p : model.layout.parameters) {
    settings.weight_decay = p.decay ? a["weight_decay"].get<float>() : 0.0f;
    model.ops.adamw_step(model.params() + p.offset, nullptr, m.data() + p.offset,
                         v.data() + p.offset, model.grads() + p.offset, p.size(), settings);
  }
}

}  // namespace

TEST_CASE("logits and loss are PyTorch's", "[interop][pytorch][forward]") {
  for (const std::string name : {"gpt2", "llama"}) {
    for (const NamedOps& table : tables()) {
      Case c(name, table.ops);
      const float loss = c.forward_step(0);
      INFO(name << " on " << table.name);
      CHECK(std::abs(loss - c.numbers["loss"].get<double>()) < 2e-6);
      const SafetensorsFile file = open_safetensors(c.folder / "logits.safetensors");
      const TensorView& view = file.tensors.at("logits");
      std::vector<float> expected(static_cast<std::size_t>(view.size())), actual(expected);
      copy_as_float(expected, view);
      const std::size_t n = expected.size() / static_cast<std::size_t>(c.B);
      for (int b = 0; b < c.B; ++b) {
        copy_logits(c.model, b, std::span(actual).subspan(static_cast<std::size_t>(b) * n, n));
      }
      CHECK(relative_error(actual, expected) < 3e-6);
    }
  }
}

TEST_CASE("every parameter's gradient is PyTorch's", "[interop][pytorch][backward]") {
  for (const std::string name : {"gpt2", "llama"}) {
    for (const NamedOps& table : tables()) {
      Case c(name, table.ops);
      Gpt<float>& model = c.model;
      std::vector<float> expected(static_cast<std::size_t>(model.layout.total));
      load_tensors(model.layout, model.config, expected.data(), c.folder / "gradients.safetensors");
      zero_gradients(model);
      c.forward_step(0);
      backward(model);
      for (const Parameter& p : model.layout.parameters) {
        const std::span<const float> ours(model.grads() + p.offset,
                                          static_cast<std::size_t>(p.size()));
        const auto theirs =
            std::span(expected).subspan(static_cast<std::size_t>(p.offset), ours.size());
        INFO(name << " on " << table.name << ": " << p.name);
        CHECK(relative_error(ours, theirs) < 2e-5);
      }
    }
  }
}

TEST_CASE("ten steps of AdamW lose what PyTorch's lose", "[interop][pytorch][training]") {
  for (const std::string name : {"gpt2", "llama"}) {
    for (const NamedOps& table : tables()) {
      Case c(name, table.ops);
      std::vector<float> m(static_cast<std::size_t>(c.model.layout.total)), v(m);
      const auto losses = c.numbers["losses"].get<std::vector<double>>();
      const auto norms = c.numbers["gradient_norms"].get<std::vector<double>>();
      REQUIRE(losses.size() == 10);
      for (int step = 0; step < 10; ++step) {
        const auto at = static_cast<std::size_t>(step);
        zero_gradients(c.model);
        const float loss = c.forward_step(step);
        INFO(name << " on " << table.name << ", step " << step << ": " << loss << " and "
                  << losses[at]);
        CHECK(std::abs(loss - losses[at]) < 1e-5);
        backward(c.model);
        clip_and_step(c, m, v, step, norms[at]);
      }
    }
  }
}
