// How well a text is predicted: by a model in floats, and by the engine, which is what writes.
#include "tinygpt/infer/evaluate.h"

#include <cmath>
#include <memory>
#include <vector>

#include "tests/infer/engine_models.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/gguf_model.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

constexpr int kTime = 24;

GptConfig byte_config(Family family) {
  GptConfig c = engine_configs()[family == Family::gpt2 ? 0 : 1];
  c.vocab_size = 256;
  c.width = 64;
  c.hidden = 96;
  return c;
}

// A text of random bytes, and a model and its file to judge by it.
struct Case {
  TemporaryFolder folder{};
  Implementation cpu = implementations()[1];
  Gpt<float> model;
  std::unique_ptr<TokenFile> text{};
  std::unique_ptr<GgufWeights> file{};

  Case(Family family, GgufType type) : model(model_on(cpu, byte_config(family), 2, 3)) {
    Random random{7};
    std::vector<int> tokens(5 * kTime + 3);
    for (int& token : tokens) token = static_cast<int>(random.below(256));
    write_token_file(folder / "text.npy", tokens, 256);
    text = std::make_unique<TokenFile>(folder / "text.npy", 256);
    save_gguf(model, byte_tokenizer(), "test", type, folder / "model.gguf");
    load_gguf(model, open_gguf(folder / "model.gguf"));  // what is in the file, as floats
    file = open_gguf_weights(folder / "model.gguf", cpu.ops, cpu.memory);
  }

  Engine<float> engine(int rows) const {
    EngineSettings settings;
    settings.rows = settings.logit_rows = rows;
    return make_engine(file->weights, settings);
  }
};

// The mean loss where each token is written alone, over the cache.
double loss_of_writing(const Case& c, const ValidationPlan& plan) {
  Engine<float> engine = c.engine(1);
  double sum = 0;
  int count = 0;
  std::vector<int> tokens(kTime), targets(kTime);
  for (const std::int64_t start : validation_starts(*c.text, plan, 100)) {
    count += validation_window(tokens, targets, *c.text, start, plan);
    const int sequence = add_sequence(engine);
    for (std::size_t t = 0; t < kTime; ++t) {
      const SequenceInput next{sequence, std::span<const int>(tokens).subspan(t, 1)};
      run<float>(engine, {&next, 1});
      if (targets[t] < 0) continue;
      double norm = 0;
      for (const float x : logits_of(engine, 0)) norm += std::exp(double{x});
      sum += std::log(norm) - logits_of(engine, 0)[static_cast<std::size_t>(targets[t])];
    }
    remove_sequence(engine, sequence);
  }
  return sum / count;
}

}  // namespace

TEST_CASE("an engine over floats judges a text as its model does", "[evaluate][engine]") {
  for (const Family family : {Family::gpt2, Family::llama}) {
    Case c(family, GgufType::f32);
    for (const ValidationPlan& plan : {ValidationPlan{kTime}, ValidationPlan{kTime, kTime / 2}}) {
      const Evaluation expected = evaluate({&c.model}, *c.text, plan, 100);
      for (const int rows : {kTime, 7, 1}) {  // of a pass: a window in one piece, or in several
        INFO("pieces of " << rows);
        Engine<float> engine = c.engine(rows);
        const Evaluation found = evaluate({nullptr, &engine}, *c.text, plan, 100, {}, {&c.model});
        CHECK(found.tokens == expected.tokens);
        CHECK(std::abs(found.loss - expected.loss) < 1e-5);
        CHECK(std::abs(found.divergence) < 1e-8);
        const Evaluation turned = evaluate({&c.model}, *c.text, plan, 100, {}, {nullptr, &engine});
        CHECK(turned.tokens == expected.tokens);
        CHECK(std::abs(turned.loss - expected.loss) < 1e-5);
      }
    }
  }
}

TEST_CASE("an engine over quantized weights is judged by what it writes", "[evaluate][engine]") {
  for (const Family family : {Family::gpt2, Family::llama}) {
    for (const GgufType type : {GgufType::q8_0, GgufType::q4_0}) {
      Case c(family, type);
      const ValidationPlan plan{kTime};
      Engine<float> engine = c.engine(kTime);
      const Evaluation found = evaluate({nullptr, &engine}, *c.text, plan, 100, {}, {&c.model});
      // The same integers, but sums of floats in another order: now and then an activation that
      // lies in the middle between two steps is rounded the other way.
      CHECK(std::abs(found.loss - loss_of_writing(c, plan)) < 1e-3);
      // The same weights in floats predict otherwise: there activations are not rounded.
      CHECK(found.divergence > 1e-6);
      CHECK(found.divergence < 0.01);
      Engine<float> same = c.engine(kTime);
      CHECK(evaluate({nullptr, &engine}, *c.text, plan, 100, {}, {nullptr, &same}).divergence == 0);
    }
  }
}

TEST_CASE("an evaluation needs somebody who predicts, and a reference of the same words",
          "[evaluate]") {
  Case c(Family::gpt2, GgufType::f32);
  CHECK_THROWS_AS(evaluate({}, *c.text, {kTime}, 100), Error);
  GptConfig other = byte_config(Family::gpt2);
  other.vocab_size = 300;
  Gpt<float> stranger = model_on(c.cpu, other, 1);
  CHECK_THROWS_WITH(evaluate({&c.model}, *c.text, {kTime}, 100, {}, {&stranger}),
                    ContainsSubstring("vocabulary"));
}
