// What the model's tests share: tiny shapes, both tables, random batches.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "solutions/table.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::testing {

inline GptConfig tiny_gpt2() {
  GptConfig c;
  c.vocab_size = 23;
  c.context_length = 9;
  c.layers = 2;
  c.heads = c.kv_heads = 3;
  c.width = 12;
  c.hidden = 48;
  return c;
}

// Grouped queries, an untied head and a hidden size that is no multiple of anything.
inline GptConfig tiny_llama() {
  GptConfig c = tiny_gpt2();
  c.family = Family::llama;
  c.heads = 4;
  c.kv_heads = 2;
  c.width = 16;
  c.hidden = 37;
  c.tied_head = false;
  return c;
}

// The fast table without its fused operators makes the model compose them.
inline std::vector<NamedOps> all_tables() {
  NamedOps plain{"cpu without fused operators", cpu::ops()};
  for_each_entry<float>([&](std::string_view group, auto entry) {
    if (group == "fused") plain.ops.*entry = nullptr;
  });
  return {{"ref", ref::ops()}, {"cpu", cpu::ops()}, plain};
}

inline std::vector<int> random_tokens(Random& random, int n, int vocab_size) {
  std::vector<int> tokens(static_cast<std::size_t>(n));
  for (int& t : tokens) {
    t = static_cast<int>(random.below(static_cast<std::uint64_t>(vocab_size)));
  }
  return tokens;
}

// Every parameter random, norms' weights around 1: nothing is zero, so nothing is hidden by it.
inline void randomize_parameters(Gpt<float>& model, std::uint64_t seed, double deviation = 0.2) {
  Random random{seed};
  for (const Parameter& p : model.layout.parameters) {
    const bool is_scale = p.rows == 1 && p.name.ends_with(".weight");
    for (std::int64_t i = 0; i < p.size(); ++i) {
      model.params()[p.offset + i] =
          static_cast<float>((is_scale ? 1 : 0) + deviation * random.normal());
    }
  }
}

inline std::vector<float> all_logits(const Gpt<float>& model) {
  const std::int64_t n = std::int64_t{model.time} * model.config.vocab_size;
  std::vector<float> logits(static_cast<std::size_t>(model.batch * n));
  for (int b = 0; b < model.batch; ++b) {
    copy_logits(
        model, b,
        std::span(logits).subspan(static_cast<std::size_t>(b * n), static_cast<std::size_t>(n)));
  }
  return logits;
}

inline Gpt<float> make_tiny(const GptConfig& config, const Ops<float>& ops,
                            Purpose purpose = Purpose::training, int B = 3, int T = 8) {
  return make_gpt(config, ops, host_memory(), purpose, B, T);
}

struct Batch {
  std::vector<int> tokens, targets;
  int B = 0, T = 0;
};

inline Batch random_batch(const GptConfig& c, int B, int T, std::uint64_t seed = 5) {
  Random random{seed};
  Batch batch{random_tokens(random, B * T, c.vocab_size), {}, B, T};
  batch.targets = random_tokens(random, B * T, c.vocab_size);
  return batch;
}

inline float loss_of(Gpt<float>& model, const Batch& b, const ForwardOptions& options = {}) {
  return forward(model, b.tokens, b.targets, b.B, b.T, options);
}

inline double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace tinygpt::testing
