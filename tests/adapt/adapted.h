// What the adapters' tests share: tiny models with random adapters beside them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/tiny.h"
#include "tinygpt/adapt/adapter_folder.h"

namespace tinygpt::testing {

inline LoraConfig small_lora() {
  LoraConfig lora;
  lora.rank = 3;
  lora.alpha = 5;
  return lora;
}

// Both halves random: with B at zero, as training starts, most mistakes would not show.
inline void randomize(Adapter<float>& adapter, std::uint64_t seed, double deviation = 0.3) {
  Random random{seed};
  for (const AdapterPart& p : adapter.layout.parts) {
    const std::int64_t a = std::int64_t{adapter.layout.rank} * p.in;
    const std::int64_t b = std::int64_t{adapter.layout.rank} * p.out;
    for (std::int64_t i = 0; i < a; ++i) {
      adapter.params()[p.a + i] = static_cast<float>(deviation * random.normal());
    }
    for (std::int64_t i = 0; i < b; ++i) {
      adapter.params()[p.b + i] = static_cast<float>(deviation * random.normal());
    }
  }
}

inline Adapter<float> random_adapter(const Gpt<float>& model, const LoraConfig& lora,
                                     std::uint64_t seed) {
  Adapter<float> adapter =
      make_adapter(lora_layout(lora, model.config), model, model.max_batch * model.max_time);
  randomize(adapter, seed);
  return adapter;
}

inline std::vector<float> weights_of(const Gpt<float>& model) {
  return {model.params(), model.params() + model.layout.total};
}

inline std::vector<float> values_of(const Adapter<float>& adapter) {
  return {adapter.params(), adapter.params() + adapter.layout.total};
}

// The fast table, with the fused operator that only CUDA has done by its parts.
inline void linear_then_lora(float* out, float* ax, const float* x, const float* weight,
                             const float* bias, const float* a, const float* b, float* scratch,
                             int N, int C, int OC, int rank, float scale) {
  ref::ops().linear_forward(out, x, weight, bias, nullptr, N, C, OC);
  ref::ops().lora_forward(out, ax, x, a, b, scratch, N, C, OC, OC, rank, scale);
}

inline std::vector<NamedOps> tables_with_fused() {
  std::vector<NamedOps> tables = all_tables();
  NamedOps fused{"ref with a fused adapter", ref::ops()};
  fused.ops.linear_lora_forward = linear_then_lora;
  tables.push_back(fused);
  return tables;
}

}  // namespace tinygpt::testing
