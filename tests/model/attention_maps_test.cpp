#include "tinygpt/model/attention_maps.h"

#include <cmath>
#include <cstdint>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/activations.h"

using namespace tinygpt;
using namespace tinygpt::testing;

namespace {

Activations<float> activations_of(const Gpt<float>& m) {
  return plan_activations<float>(m.config, m.purpose, m.max_batch, m.max_time, m.arena.data());
}

}  // namespace

TEST_CASE("each row of an attention map sums to 1 and does not see the future",
          "[model][attention]") {
  for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
    for (const NamedOps& table : all_tables()) {
      INFO(table.name);
      Gpt<float> model = make_tiny(config, table.ops);
      randomize_parameters(model, 3, 0.5);
      loss_of(model, random_batch(config, 2, 7));
      const AttentionMaps maps = attention_maps(model, 1);
      REQUIRE(maps.layers == config.layers);
      REQUIRE(maps.heads == config.heads);
      REQUIRE(maps.time == 7);
      REQUIRE(maps.probabilities.size() == std::size_t(config.layers * config.heads * 7 * 7));
      for (int l = 0; l < maps.layers; ++l) {
        for (int h = 0; h < maps.heads; ++h) {
          const std::span<const float> p = maps.map(l, h);
          for (int t = 0; t < 7; ++t) {
            double sum = 0;
            for (int u = 0; u < 7; ++u) {
              const float p_tu = p[std::size_t(t * 7 + u)];
              CHECK((u <= t ? p_tu > 0 : p_tu == 0));
              sum += p_tu;
            }
            CHECK(sum == Approx(1).margin(1e-5));
          }
        }
      }
    }
  }
}

TEST_CASE("attention maps, times the values, are what the attention gave", "[model][attention]") {
  for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
    constexpr int B = 3, T = 8;
    Gpt<float> model = make_tiny(config, cpu::ops(), Purpose::training, B, T);
    randomize_parameters(model, 4, 0.5);
    loss_of(model, random_batch(config, B, T));
    const Activations<float> acts = activations_of(model);
    const int HS = config.head_size(), shared = config.heads / config.kv_heads;
    const int row = config.qkv_width();
    for (int b = 0; b < B; ++b) {
      const AttentionMaps maps = attention_maps(model, b);
      for (int l = 0; l < config.layers; ++l) {
        const BlockActivations<float>& block = acts.blocks[std::size_t(l)];
        for (int h = 0; h < config.heads; ++h) {
          const int v = (config.heads + config.kv_heads + h / shared) * HS;
          for (int t = 0; t < T; ++t) {
            for (int d = 0; d < HS; ++d) {
              double out = 0;
              for (int u = 0; u < T; ++u) {
                out += double{maps.map(l, h)[std::size_t(t * T + u)]} *
                       block.qkv[(b * T + u) * row + v + d];
              }
              CHECK(block.att[(b * T + t) * config.width + h * HS + d] == Approx(out).margin(1e-5));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("attention maps need a forward pass that kept what they are made of",
          "[model][attention]") {
  const GptConfig config = tiny_llama();
  Gpt<float> fresh = make_tiny(config, cpu::ops());
  CHECK_THROWS_AS(attention_maps(fresh), Error);
  loss_of(fresh, random_batch(config, 2, 3));
  CHECK_THROWS_AS(attention_maps(fresh, 2), Error);
  CHECK_THROWS_AS(attention_maps(fresh, -1), Error);
  CHECK_THROWS_AS(attention_maps(fresh).map(0, config.heads), Error);
  CHECK_THROWS_AS(attention_maps(fresh).map(config.layers, 0), Error);
  Gpt<float> writer = make_tiny(config, cpu::ops(), Purpose::inference);
  forward(writer, random_batch(config, 1, 3).tokens, {}, 1, 3);
  CHECK_THROWS_AS(attention_maps(writer), Error);
}
