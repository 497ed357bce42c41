// A training small enough to be taken again and again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::test {

inline GptConfig small_config(Family family = Family::gpt2) {
  GptConfig c;
  c.family = family;
  c.vocab_size = 24;
  c.context_length = 12;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = family == Family::llama ? 2 : 4;
  c.width = 16;
  c.hidden = 40;
  return c;
}

inline TrainSettings small_settings() {
  TrainSettings s;
  s.batch = 3;
  s.time = 10;
  s.steps = 50;
  s.lr = 3e-3f;
  s.min_lr = 1e-4f;
  s.warmup = 5;
  return s;
}

// Tokens with something to learn: each is often the one before it plus three.
inline TokenFile small_data(const TemporaryFolder& folder, int tokens = 600) {
  Random random{5};
  std::vector<int> ids{1};
  while (static_cast<int>(ids.size()) < tokens) {
    const bool lawful = random.uniform() < 0.8;
    ids.push_back(lawful ? (ids.back() + 3) % 24 : static_cast<int>(random.below(24)));
  }
  write_token_file(folder / "tokens.npy", ids, 24);
  return TokenFile(folder / "tokens.npy", 24);
}

inline Gpt<float> small_model(const GptConfig& config, const TrainSettings& settings,
                              std::uint64_t seed = 1) {
  Gpt<float> model =
      make_gpt(config, cpu::ops(), host_memory(), Purpose::training, settings.batch, settings.time);
  init_parameters(model, seed);
  return model;
}

inline std::span<const float> parameters_of(const Gpt<float>& model) {
  return {model.params(), static_cast<std::size_t>(model.layout.total)};
}

inline std::span<const float> gradients_of(const Gpt<float>& model) {
  return {model.grads(), static_cast<std::size_t>(model.layout.total)};
}

inline std::span<const float> floats_of(const DeviceBuffer& buffer) {
  return {static_cast<const float*>(buffer.data()),
          static_cast<std::size_t>(buffer.bytes()) / sizeof(float)};
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace tinygpt::test
