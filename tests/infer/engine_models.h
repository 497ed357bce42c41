// Small models of both families to run the engine with.
#pragma once

#include <string>
#include <vector>

#include "tests/support/implementations.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::test {

inline constexpr int kTestVocabulary = 50;

// GPT-2; LLaMA with grouped heads; LLaMA with one key-value head and a head of its own; an odd
// head size.
inline std::vector<GptConfig> engine_configs() {
  GptConfig gpt2;
  gpt2.vocab_size = kTestVocabulary;
  gpt2.context_length = 24;
  gpt2.layers = 2;
  gpt2.heads = gpt2.kv_heads = 4;
  gpt2.width = 24;
  gpt2.hidden = 40;
  GptConfig grouped = gpt2;
  grouped.family = Family::llama;
  grouped.kv_heads = 2;
  GptConfig one = grouped;
  one.kv_heads = 1;
  one.tied_head = false;
  one.layers = 3;
  GptConfig odd = gpt2;
  odd.heads = odd.kv_heads = 1;
  odd.width = 23;
  odd.layers = 1;
  return {gpt2, grouped, one, odd};
}

inline std::string describe(const GptConfig& c) {
  return std::string(c.family == Family::llama ? "llama" : "gpt2") + " with " +
         std::to_string(c.heads) + " heads over " + std::to_string(c.kv_heads);
}

// Weights `factor` times a fresh model's, so that what it writes depends on what it reads.
inline Gpt<float> model_on(const Implementation& i, const GptConfig& c, int batch,
                           float factor = 10) {
  Gpt<float> model = make_gpt(c, i.ops, i.memory, Purpose::inference, batch, c.context_length);
  init_parameters(model, 3);
  std::vector<float> values(static_cast<std::size_t>(model.layout.total));
  i.memory.copy_out(values.data(), model.params(), values.size() * sizeof(float));
  for (float& value : values) value *= factor;
  i.memory.copy_in(model.params(), values.data(), values.size() * sizeof(float));
  return model;
}

}  // namespace tinygpt::test
