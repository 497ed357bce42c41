// The engine over a GGUF file gives the logits of the model that it was written from.
#include <cmath>

#include "solutions/table.h"
#include "tests/infer/engine_models.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/model/gguf_model.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

// Rows that divide into blocks of 32, and a vocabulary for the byte tokenizer.
std::vector<GptConfig> gguf_configs() {
  std::vector<GptConfig> configs = engine_configs();
  configs.pop_back();
  for (GptConfig& c : configs) {
    c.vocab_size = 256;
    c.width = 64;
    c.hidden = 96;
  }
  return configs;
}

std::vector<float> last_logits(Gpt<float>& model, const std::vector<int>& text) {
  std::vector<float> logits(static_cast<std::size_t>(model.config.vocab_size));
  forward(model, text, {}, 1, static_cast<int>(text.size()));
  copy_last_logits(model, 0, std::span<float>(logits));
  return logits;
}

std::vector<float> engine_logits(const ModelWeights<float>& weights, const std::vector<int>& text) {
  Engine<float> engine = make_engine(weights, {});
  const int sequence = add_sequence(engine);
  const SequenceInput prompt{sequence, std::span(text).first(3), WantLogits::none};
  run<float>(engine, {&prompt, 1});
  for (std::size_t t = 3; t < text.size(); ++t) {
    const SequenceInput next{sequence, std::span(text).subspan(t, 1)};
    run<float>(engine, {&next, 1});
  }
  const auto logits = logits_of(engine, 0);
  return {logits.begin(), logits.end()};
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0, largest = 0;
  for (std::size_t v = 0; v < a.size(); ++v) {
    worst = std::max(worst, std::abs(double{a[v]} - b[v]));
    largest = std::max(largest, std::abs(double{b[v]}));
  }
  return worst / largest;
}

}  // namespace

TEST_CASE("a GGUF file in floats gives the logits of its model", "[engine][gguf]") {
  const Implementation cpu = implementations()[1];
  const std::vector<int> text = {5, 200, 31, 7, 7, 90, 255, 0};
  for (const GptConfig& config : gguf_configs()) {
    Gpt<float> model = model_on(cpu, config, 1, 3);
    const TemporaryFolder folder;
    const auto path = folder.path() / "model.gguf";
    save_gguf(model, byte_tokenizer(), "test", GgufType::f32, path);
    const auto file = open_gguf_weights(path, model.ops, model.memory);
    INFO(describe(config));
    CHECK(file->weights.bytes > 0);
    CHECK(distance(engine_logits(file->weights, text), last_logits(model, text)) < 1e-5);
  }
}

TEST_CASE("a quantized GGUF file is computed with as it is, and never turned into floats",
          "[engine][gguf]") {
  const Implementation cpu = implementations()[1];
  if (cpu.ops.quantized_pack == nullptr) return;  // no kernels for it
  const std::vector<int> text = {5, 200, 31, 7, 7, 90, 255, 0};
  for (const GptConfig& config : gguf_configs()) {
    for (const GgufType type : {GgufType::q8_0, GgufType::q4_0}) {
      Gpt<float> model = model_on(cpu, config, 1, 3);
      const TemporaryFolder folder;
      const auto path = folder.path() / "model.gguf";
      save_gguf(model, byte_tokenizer(), "test", type, path);
      // The same weights, dequantized, in floats: what is left is the rounding of activations to
      // eight bits.
      load_gguf(model, open_gguf(path));
      const auto file = open_gguf_weights(path, model.ops, model.memory);
      INFO(describe(config) << ", " << type_name(type));
      CHECK(distance(engine_logits(file->weights, text), last_logits(model, text)) < 0.03);
      // Norms, biases and positions alone are floats.
      CHECK(file->floats.bytes() < (config.layers * 8 + 30) * 64 * 4 * 2);
      for (const BlockWeights<float>& block : file->weights.blocks) {
        CHECK(block.qkv.quantized != nullptr);
        CHECK(block.qkv.weight == nullptr);
        CHECK(block.down.quantized != nullptr);
      }
      CHECK(file->weights.head.quantized != nullptr);
      CHECK(file->weights.wte == nullptr);
      CHECK(gguf_weight_bytes(file->file, model.ops) ==
            file->floats.bytes() + file->packed.bytes());
    }
  }
}

TEST_CASE("quantized weights are refused where nothing can compute with them", "[engine][gguf]") {
  const Implementation cpu = implementations()[1];
  Gpt<float> model = model_on(cpu, gguf_configs()[0], 1, 3);
  const TemporaryFolder folder;
  const auto path = folder.path() / "model.gguf";
  save_gguf(model, byte_tokenizer(), "test", GgufType::q8_0, path);
  Ops<float> without = model.ops;
  without.quantized_pack = nullptr;
  CHECK_THROWS_AS(open_gguf_weights(path, without, model.memory), Error);
}
