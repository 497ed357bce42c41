// Adapters beside a model: what they compute, and what they leave alone.
#include "tinygpt/model/adapter.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>

#include "tests/adapt/adapted.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::testing;

namespace {

std::set<std::string> modules_in(const AdapterLayout& layout) {
  std::set<std::string> names;
  for (const AdapterPart& p : layout.parts) names.insert(p.module);
  return names;
}

}  // namespace

TEST_CASE("targets find layers as PEFT finds them", "[adapter][lesson-19]") {
  LoraConfig lora = small_lora();
  CHECK(lora_layout(lora, tiny_gpt2()).parts.size() == 2 * 4);
  CHECK(lora_layout(lora, tiny_llama()).parts.size() == 2 * 7);
  lora.targets = {"c_proj"};  // of attention and of the MLP
  CHECK(modules_in(lora_layout(lora, tiny_gpt2())) ==
        std::set<std::string>{"transformer.h.0.attn.c_proj", "transformer.h.0.mlp.c_proj",
                              "transformer.h.1.attn.c_proj", "transformer.h.1.mlp.c_proj"});
  lora.targets = {"mlp.c_proj", "transformer.h.1.attn.c_attn"};
  CHECK(modules_in(lora_layout(lora, tiny_gpt2())) ==
        std::set<std::string>{"transformer.h.0.mlp.c_proj", "transformer.h.1.attn.c_attn",
                              "transformer.h.1.mlp.c_proj"});
  lora.targets = {"v_proj", "q_proj", "v_proj"};
  const AdapterLayout layout = lora_layout(lora, tiny_llama());
  CHECK(modules_in(layout) == std::set<std::string>{"model.layers.0.self_attn.q_proj",
                                                    "model.layers.0.self_attn.v_proj",
                                                    "model.layers.1.self_attn.q_proj",
                                                    "model.layers.1.self_attn.v_proj"});
  CHECK(layout.parameters() == 2 * 3 * (16 + 16 + 16 + 8));
  lora.targets = {"proj"};  // the end of a name, but not of one between dots
  CHECK_THROWS_WITH(lora_layout(lora, tiny_llama()), ContainsSubstring("no linear layer") &&
                                                         ContainsSubstring("q_proj, k_proj") &&
                                                         ContainsSubstring("\"proj\""));
}

TEST_CASE("an adapter whose B is zero changes nothing", "[adapter][lesson-19]") {
  for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
    Gpt<float> model = make_tiny(config, ref::ops(), Purpose::inference);
    randomize_parameters(model, 1);
    const Batch batch = random_batch(config, 3, 8);
    loss_of(model, batch);
    const std::vector<float> before = all_logits(model);
    Adapter<float> adapter = make_adapter(lora_layout(small_lora(), config), model, 24);
    init_adapter(adapter, 7);
    model.adapter = &adapter;
    loss_of(model, batch);
    CHECK(all_logits(model) == before);
    const AdapterPart& p = adapter.layout.parts[0];
    const auto [least, most] =
        std::minmax_element(adapter.params() + p.a, adapter.params() + p.a + 3 * p.in);
    const float bound = 1 / std::sqrt(static_cast<float>(p.in));
    CHECK(*least >= -bound);
    CHECK(*most <= bound);
    CHECK(*most - *least > 1.5f * bound);
  }
}

TEST_CASE("the adapter's gradient matches finite differences, dropout and all",
          "[adapter][backward][lesson-19]") {
  for (const NamedOps& table : tables_with_fused()) {
    for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
      for (const float dropout : {0.0f, 0.3f}) {
        LoraConfig lora = small_lora();
        lora.dropout = dropout;
        Gpt<float> model = make_tiny(config, table.ops, Purpose::adapting);
        randomize_parameters(model, 11);
        Adapter<float> adapter = random_adapter(model, lora, 5);
        model.adapter = &adapter;
        const Batch batch = random_batch(config, 3, 8);
        const ForwardOptions options{.training = true, .dropout_seed = 9, .dropout_step = 4};
        zero_gradients(model);
        loss_of(model, batch, options);
        backward(model);
        const auto check_half = [&](const std::string& name, std::int64_t at, std::int64_t size) {
          float* values = adapter.params() + at;
          const float* gradient = adapter.grads() + at;
          const std::vector<float> before(values, values + size);
          double norm = 0;
          for (std::int64_t i = 0; i < size; ++i) norm += double{gradient[i]} * gradient[i];
          norm = std::sqrt(norm);
          const double h = 4e-3 / std::max(1.0, norm);
          double loss[2];
          for (const int side : {0, 1}) {
            for (std::int64_t i = 0; i < size; ++i) {
              values[i] = static_cast<float>(before[static_cast<std::size_t>(i)] +
                                             (side == 0 ? -h : h) * gradient[i] / norm);
            }
            loss[side] = loss_of(model, batch, options);
          }
          std::copy(before.begin(), before.end(), values);
          INFO(table.name << ", dropout " << dropout << ": " << name << ", norm " << norm);
          CHECK(norm > 1e-5);
          CHECK((loss[1] - loss[0]) / (2 * h) == Approx(norm).epsilon(5e-3).margin(1e-4));
        };
        for (const AdapterPart& p : adapter.layout.parts) {
          check_half(p.module + " A", p.a, std::int64_t{3} * p.in);
          check_half(p.module + " B", p.b, std::int64_t{3} * p.out);
        }
      }
    }
  }
}

TEST_CASE("a merged model's logits are the adapter's, and merging twice is refused",
          "[adapter][merge][lesson-19]") {
  for (const NamedOps& table : tables_with_fused()) {
    for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
      Gpt<float> model = make_tiny(config, table.ops, Purpose::inference);
      randomize_parameters(model, 1);
      Adapter<float> adapter = random_adapter(model, small_lora(), 2);
      const Batch batch = random_batch(config, 3, 8);
      loss_of(model, batch);
      const std::vector<float> base = all_logits(model), weights = weights_of(model);
      model.adapter = &adapter;
      loss_of(model, batch);
      const std::vector<float> adapted = all_logits(model);
      INFO(table.name);
      CHECK(weights_of(model) == weights);
      CHECK(relative_difference(adapted, base) > 0.05);  // it does something
      merge_adapter(model);
      CHECK(model.adapter == nullptr);
      loss_of(model, batch);
      const std::vector<float> merged = all_logits(model);
      float most = 0;
      for (std::size_t i = 0; i < merged.size(); ++i) {
        most = std::max(most, std::fabs(merged[i] - adapted[i]));
      }
      CHECK(most < 1e-4f);
      CHECK_THROWS_WITH(merge_adapter(model), ContainsSubstring("no adapter is in use"));
      unmerge_adapter(model, adapter);
      CHECK(model.adapter == &adapter);
      CHECK(relative_difference(weights_of(model), weights) < 1e-6);
      CHECK_THROWS_WITH(unmerge_adapter(model, adapter), ContainsSubstring("is in use"));
    }
  }
}

TEST_CASE("several adapters lie beside one model, and each pass chooses one",
          "[adapter][lesson-19]") {
  const GptConfig config = tiny_llama();
  Gpt<float> model = make_tiny(config, cpu::ops(), Purpose::inference);
  randomize_parameters(model, 1);
  LoraConfig wide = small_lora(), narrow = small_lora();
  narrow.rank = 1;
  narrow.targets = {"k_proj", "up_proj"};
  Adapter<float> first = random_adapter(model, wide, 2), second = random_adapter(model, narrow, 3);
  const Batch batch = random_batch(config, 2, 7);
  const auto logits_with = [&](Adapter<float>* adapter) {
    model.adapter = adapter;
    loss_of(model, batch);
    return all_logits(model);
  };
  const std::vector<float> none = logits_with(nullptr), one = logits_with(&first),
                           other = logits_with(&second);
  CHECK(relative_difference(one, none) > 0.05);
  CHECK(relative_difference(other, none) > 0.02);
  CHECK(logits_with(&first) == one);  // whatever ran between
  CHECK(logits_with(nullptr) == none);
  CHECK(logits_with(&second) == other);
}

TEST_CASE("a model for adapting has no gradients of its own, and needs an adapter",
          "[adapter][lesson-19]") {
  const GptConfig config = tiny_gpt2();
  Gpt<float> model = make_tiny(config, ref::ops(), Purpose::adapting);
  CHECK(model.gradients.bytes() == 0);
  const Batch batch = random_batch(config, 3, 8);
  CHECK_THROWS_WITH(loss_of(model, batch), ContainsSubstring("none is in use"));
  Adapter<float> adapter = make_adapter(lora_layout(small_lora(), config), model, 20);
  model.adapter = &adapter;
  CHECK_THROWS_WITH(loss_of(model, batch), ContainsSubstring("3 x 8 tokens do not fit an adapter"));
  Gpt<float> trained = make_tiny(config, ref::ops());
  CHECK_THROWS_WITH(make_adapter(adapter.layout, trained, 24), ContainsSubstring("adapting"));
  Ops<float> partial = ref::ops();
  partial.lora_backward = nullptr;
  Gpt<float> without = make_tiny(config, partial, Purpose::adapting);  // it is a model all the same
  CHECK_THROWS_WITH(make_adapter(adapter.layout, without, 24), ContainsSubstring("group 'lora'"));
}

TEST_CASE("the ledger counts what an adapter takes", "[adapter][lesson-19]") {
  const GptConfig config = tiny_llama();
  LoraConfig lora = small_lora();
  lora.dropout = 0.1f;
  for (const Purpose purpose : {Purpose::inference, Purpose::adapting}) {
    Gpt<float> model = make_tiny(config, cpu::ops(), purpose);
    const AdapterLayout layout = lora_layout(lora, config);
    const Adapter<float> adapter = make_adapter(layout, model, 24);
    const AdapterLedger ledger = adapter_ledger(layout, config, model.ops, purpose, 24);
    CHECK(ledger.parameters == adapter.parameters.bytes());
    CHECK(ledger.gradients == adapter.gradients.bytes());
    CHECK(ledger.activations == adapter.saved.bytes() + adapter.dropped.bytes() +
                                    adapter.scratch.bytes() + adapter.discarded.bytes());
    const MemoryLedger own = memory_ledger(config, model.ops, purpose, 3, 8);
    CHECK(own.gradients + own.optimizer == 0);
    CHECK(own.activations == model.arena.bytes());
  }
}
