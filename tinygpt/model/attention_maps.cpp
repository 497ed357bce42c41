#include "tinygpt/model/attention_maps.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/model/activations.h"

namespace tinygpt {
namespace {

// `n` floats of the device, from `begin` on.
std::vector<float> copied(const Memory& memory, const float* begin, std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  memory.copy_out(values.data(), begin, values.size() * sizeof(float));
  return values;
}

// p[t, u] = exp((q[t] . k[u]) / sqrt(HS) - lse[t]) for u <= t. The queries and keys are rows of
// qkv, `stride` floats apart.
void fill_map(float* p, const float* q, const float* k, std::int64_t stride, const float* lse,
              int T, int HS) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  for (int t = 0; t < T; ++t) {
    for (int u = 0; u <= t; ++u) {
      float dot = 0.0f;
      for (int d = 0; d < HS; ++d) dot += q[t * stride + d] * k[u * stride + d];
      p[std::int64_t{t} * T + u] = std::exp(scale * dot - lse[t]);
    }
  }
}

}  // namespace

std::span<const float> AttentionMaps::map(int layer, int head) const {
  check(layer >= 0 && layer < layers && head >= 0 && head < heads, [&] {
    return fmt::format("attention map of layer {}, head {}: there are {} layers of {} heads", layer,
                       head, layers, heads);
  });
  const auto size = static_cast<std::size_t>(time) * static_cast<std::size_t>(time);
  return std::span(probabilities)
      .subspan(static_cast<std::size_t>(layer * heads + head) * size, size);
}

AttentionMaps attention_maps(const Gpt<float>& model, int b) {
  check(model.purpose != Purpose::inference,
        "attention maps need a model that was made with Purpose::training: for inference all "
        "layers share one place, and only the last one's queries and keys are left");
  check(model.batch > 0, "attention maps are those of a forward pass: run one first");
  check(b >= 0 && b < model.batch, [&] {
    return fmt::format("attention maps of sequence {}: the last forward pass had {}", b,
                       model.batch);
  });
  const GptConfig& c = model.config;
  const int T = model.time, HS = c.head_size(), shared = c.heads / c.kv_heads;
  const std::int64_t stride = c.qkv_width(), square = std::int64_t{T} * T;
  AttentionMaps maps{c.layers, c.heads, T, {}};
  maps.probabilities.resize(static_cast<std::size_t>(c.layers * c.heads * square));
  const Activations<float> acts = plan_activations<float>(c, model.purpose, model.max_batch,
                                                          model.max_time, model.arena.data());
  float* p = maps.probabilities.data();
  for (const BlockActivations<float>& block : acts.blocks) {
    const std::vector<float> qkv =
        copied(model.memory, block.qkv + std::int64_t{b} * T * stride, T * stride);
    const std::vector<float> lse =
        copied(model.memory, block.lse + std::int64_t{b} * c.heads * T, std::int64_t{c.heads} * T);
    for (int h = 0; h < c.heads; ++h, p += square) {
      const float* key = qkv.data() + (std::int64_t{c.heads} + h / shared) * HS;
      fill_map(p, qkv.data() + std::int64_t{h} * HS, key, stride, lse.data() + std::int64_t{h} * T,
               T, HS);
    }
  }
  return maps;
}

}  // namespace tinygpt
