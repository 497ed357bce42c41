// A training of an adapter: the model is untouched to the bit, on every device, and a checkpoint
// goes on where it was.
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/adapt/adapted.h"
#include "tests/support/catch.h"
#include "tests/support/implementations.h"
#include "tests/train/small_training.h"
#include "tinygpt/core/error.h"
#include "tinygpt/train/checkpoint.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

GptConfig adapted_config(Family family) {
  GptConfig c = small_config(family);
  c.dropout = 0.1f;
  c.init_std = 0.3f;  // a frozen model whose values are small could not be moved far
  return c;
}

LoraConfig adapted_lora() {
  LoraConfig lora;
  lora.rank = 2;
  lora.alpha = 8;
  lora.dropout = 0.1f;
  return lora;
}

std::vector<float> read(const Memory& memory, const void* from, std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  memory.copy_out(values.data(), from, values.size() * sizeof(float));
  return values;
}

// To the bit: 0 and -0 differ, and a NaN equals itself.
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A frozen model that knows nothing, and the adapter beside it.
struct Setup {
  Setup(const GptConfig& config, const TrainSettings& s, const Ops<float>& ops,
        const Memory& memory)
      : model(make_gpt(config, ops, memory, Purpose::adapting, s.batch, s.time)) {
    init_parameters(model, 3);
    adapter = make_adapter(lora_layout(adapted_lora(), config), model, s.batch * s.time);
    init_adapter(adapter, s.seed);
    model.adapter = &adapter;
  }
  std::vector<float> weights() const {
    return read(model.memory, model.params(), model.layout.total);
  }
  std::vector<float> values() const {
    return read(model.memory, adapter.params(), adapter.layout.total);
  }
  Gpt<float> model;
  Adapter<float> adapter;
};

}  // namespace

TEST_CASE("a training of an adapter lowers the loss and leaves every weight as it was",
          "[adapter][trainer][lesson-19]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Family family : {Family::gpt2, Family::llama}) {
    TrainSettings settings = small_settings();
    settings.lr = 3e-2f;
    Setup s(adapted_config(family), settings, cpu::ops(), host_memory());
    const std::vector<float> before = s.weights();
    Trainer trainer = make_trainer(s.model, settings);
    const std::int64_t bytes = s.adapter.layout.total * std::int64_t{sizeof(float)};
    CHECK(trainer.m.bytes() == bytes);  // moments of the adapter alone
    CHECK(trainer.v.bytes() == bytes);
    CHECK(s.model.gradients.bytes() == 0);
    CHECK(5 * s.adapter.layout.total < 4 * s.model.layout.total);
    const double untrained = validate(trainer, data, eval_starts(trainer, data, true));
    for (int i = 0; i < settings.steps; ++i) train_step(trainer, data);
    CHECK(validate(trainer, data, eval_starts(trainer, data, true)) < untrained - 0.15);
    CHECK(same_bits(s.weights(), before));
  }
}

TEST_CASE("weight decay pulls an adapter towards zero and no weight of the model",
          "[adapter][trainer][lesson-19]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = small_settings();
  settings.weight_decay = 0.5f;
  Setup with(adapted_config(Family::gpt2), settings, cpu::ops(), host_memory());
  const std::vector<float> weights = with.weights(), start = with.values();
  Trainer trainer = make_trainer(with.model, settings);
  const float lr = train_step(trainer, data).lr;
  settings.weight_decay = 0;
  Setup without(adapted_config(Family::gpt2), settings, cpu::ops(), host_memory());
  Trainer plain = make_trainer(without.model, settings);
  train_step(plain, data);
  CHECK(same_bits(with.weights(), weights));
  const std::vector<float> decayed = with.values(), kept = without.values();
  for (std::size_t i = 0; i < start.size(); ++i) {
    REQUIRE(kept[i] - decayed[i] == Approx(lr * 0.5f * start[i]).margin(6e-8));
  }
}

TEST_CASE("an adapter trains the same on every device", "[adapter][trainer][device]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = small_settings();
  settings.batch = 2;
  settings.time = 8;
  for (const Family family : {Family::gpt2, Family::llama}) {
    const GptConfig config = adapted_config(family);
    Setup host(config, settings, ref::ops(), host_memory());
    Trainer expected = make_trainer(host.model, settings);
    std::vector<double> losses;
    for (int i = 0; i < 6; ++i) losses.push_back(train_step(expected, data).loss);
    for (const Implementation& i : implementations()) {
      INFO(i.name);
      Setup s(config, settings, i.ops, i.memory);
      const std::vector<float> before = s.weights();
      Trainer trainer = make_trainer(s.model, settings);
      for (const double loss : losses) {
        CHECK(train_step(trainer, data).loss == Approx(loss).epsilon(2e-5));
      }
      CHECK(same_bits(s.weights(), before));
      CHECK(testing::relative_difference(s.values(), host.values()) < 2e-3);
    }
  }
}

TEST_CASE("a training of an adapter resumes to the bit", "[adapter][checkpoint]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Family family : {Family::gpt2, Family::llama}) {
    const GptConfig config = adapted_config(family);
    TrainSettings settings = small_settings();
    settings.accumulate = 2;
    Setup first(config, settings, cpu::ops(), host_memory());
    Trainer trainer = make_trainer(first.model, settings);
    for (int i = 0; i < 10; ++i) train_step(trainer, data);
    TrainOrigin origin{"data/x", "text 1", "cpu", 2};
    origin.base = "models/b";
    origin.base_sha256 = "ab";
    const std::filesystem::path out = folder / "adapter";
    save_checkpoint(trainer, origin, out, "{}\n",
                    adapter_product(first.adapter, adapted_lora(), config));
    CHECK_FALSE(std::filesystem::exists(out / "model.safetensors"));
    CHECK(read_lora_config(out).rank == 2);  // published, for anyone to use
    for (int i = 0; i < 10; ++i) train_step(trainer, data);

    const auto checkpoint = newest_checkpoint(out);
    REQUIRE(checkpoint);
    const CheckpointInfo info = read_checkpoint_info(*checkpoint);
    CHECK(info.origin.base == "models/b");
    CHECK(info.origin.base_sha256 == "ab");
    Setup second(config, settings, cpu::ops(), host_memory());
    init_adapter(second.adapter, 77);
    Trainer resumed = make_trainer(second.model, info.settings);
    load_checkpoint(resumed, *checkpoint, adapter_product(second.adapter, adapted_lora(), config));
    for (int i = 0; i < 10; ++i) train_step(resumed, data);
    CHECK(same_bits(second.values(), first.values()));
    CHECK(same_bits(read(host_memory(), resumed.v.data(), second.adapter.layout.total),
                    read(host_memory(), trainer.v.data(), first.adapter.layout.total)));
  }
}
