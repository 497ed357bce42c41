// A whole training on every device that there is: what the kernels compute together, and that no
// line of the model or of the trainer reads the device's memory as if it were the host's.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/catch.h"
#include "tests/support/implementations.h"
#include "tests/train/small_training.h"
#include "tinygpt/cuda/table.h"
#include "tinygpt/simt/memory.h"
#include "tinygpt/train/checkpoint.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

GptConfig device_config(Family family) {
  GptConfig c = small_config(family);
  c.context_length = 32;
  c.width = 64;
  c.hidden = 160;
  c.dropout = family == Family::gpt2 ? 0.1f : 0.0f;  // the masks, too, are the same everywhere
  return c;
}

TrainSettings device_settings() {
  TrainSettings s = small_settings();
  s.batch = 2;
  s.time = 32;
  s.steps = 20;
  s.lr = 4e-3f;
  s.accumulate = 1;
  return s;
}

Gpt<float> device_model(const Implementation& i, Family family, std::uint64_t seed = 1) {
  const TrainSettings s = device_settings();
  Gpt<float> model =
      make_gpt(device_config(family), i.ops, i.memory, Purpose::training, s.batch, s.time);
  init_parameters(model, seed);
  return model;
}

std::vector<StepResult> train(Trainer& trainer, const TokenFile& data, int steps) {
  std::vector<StepResult> results;
  for (int k = 0; k < steps; ++k) results.push_back(train_step(trainer, data));
  return results;
}

std::vector<Implementation> devices() {
  std::vector<Implementation> found;
  for (const Implementation& i : implementations()) {
    if (i.device != Device::host) found.push_back(i);
  }
  return found;
}

// The fast tables in bf16, with their twins in float.
struct InBf16 {
  std::string name;
  Ops<Bfloat16> ops;
  Implementation in_float;
};

std::vector<InBf16> devices_in_bf16() {
  std::vector<InBf16> found;
  for (const Implementation& i : devices()) {
    if (!i.name.starts_with("cuda")) continue;
#if defined(TINYGPT_HAS_CUDA)
    if (i.device == Device::gpu) {
      found.push_back({i.name, cuda::bf16_ops(), i});
      continue;
    }
#endif
    found.push_back({i.name, cuda_emulated::bf16_ops(), i});
  }
  return found;
}

// A model's master weights, and the copy that passes are computed on.
struct Pair {
  Gpt<float> model;
  Gpt<Bfloat16> rounded;
};

Pair pair_of(const InBf16& i, Family family, std::uint64_t seed = 1) {
  const TrainSettings s = device_settings();
  const GptConfig config = device_config(family);
  const Memory& memory = i.in_float.memory;
  Pair pair{make_gpt(config, i.in_float.ops, memory, Purpose::inference, 1, s.time),
            make_gpt(config, i.ops, memory, Purpose::training, s.batch, s.time)};
  init_parameters(pair.model, seed);
  return pair;
}

// A device's memory that counts what is asked of it. Tables of functions have no state of their
// own.
struct Counts {
  Memory memory{};
  int allocations = 0, copies_out = 0;
};
Counts counts;

Memory counting(const Memory& memory) {
  counts = {memory};
  return {[](std::size_t bytes) {
            ++counts.allocations;
            return counts.memory.allocate(bytes);
          },
          [](void* data) { counts.memory.release(data); },
          [](void* data, std::size_t bytes) { counts.memory.zero(data, bytes); },
          [](void* device, const void* host, std::size_t bytes) {
            counts.memory.copy_in(device, host, bytes);
          },
          [](void* host, const void* device, std::size_t bytes) {
            ++counts.copies_out;
            counts.memory.copy_out(host, device, bytes);
          }};
}

// Three steps, each of which waits for the device once and allocates nothing.
void check_counts(Trainer& trainer, const TokenFile& data) {
  train_step(trainer, data);  // in bf16, the first one brings the weights over
  for (int step = 0; step < 3; ++step) {
    counts.allocations = counts.copies_out = 0;
    train_step(trainer, data);
    CHECK(counts.copies_out == 1);
    CHECK(counts.allocations == 0);
  }
}

}  // namespace

TEST_CASE("a step copies its loss and norm to the host at once, and allocates nothing",
          "[trainer][device]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = device_settings();
  settings.accumulate = 2;
  for (Implementation i : implementations()) {
    INFO(i.name);
    i.memory = counting(i.memory);
    Gpt<float> model = device_model(i, Family::gpt2);
    Trainer trainer = make_trainer(model, settings);
    CHECK(counts.allocations >= 6);  // of the model and of the trainer, or nothing was counted
    check_counts(trainer, data);
  }
  for (InBf16 i : devices_in_bf16()) {
    INFO(i.name << ", bf16");
    i.in_float.memory = counting(i.in_float.memory);
    Pair pair = pair_of(i, Family::llama);
    Trainer trainer = make_trainer(pair.model, settings, &pair.rounded);
    check_counts(trainer, data);
  }
}

TEST_CASE("a loss that is not finite changes nothing on a device", "[trainer][device][diverged]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Implementation& i : devices()) {
    INFO(i.name);
    Gpt<float> model = device_model(i, Family::gpt2);
    Trainer trainer = make_trainer(model, device_settings());
    train_step(trainer, data);
    const float bad = std::numeric_limits<float>::quiet_NaN();
    i.memory.copy_in(model.params() + model.layout.norm_f_weight, &bad, sizeof(bad));
    const auto read = [&](const void* from) {
      std::vector<float> values(static_cast<std::size_t>(model.layout.total));
      i.memory.copy_out(values.data(), from, values.size() * sizeof(float));
      return values;
    };
    const auto params = read(model.params()), m = read(trainer.m.data());
    const auto v = read(trainer.v.data());
    CHECK_THROWS_WITH(train_step(trainer, data), ContainsSubstring("step 2"));
    CHECK(same_bits(params, read(model.params())));
    CHECK(same_bits(m, read(trainer.m.data())));
    CHECK(same_bits(v, read(trainer.v.data())));
    CHECK(trainer.step == 1);
  }
}

TEST_CASE("a training on a device has the losses that it has on the CPU", "[trainer][device]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  const Implementation cpu = implementations()[1];
  REQUIRE(cpu.name == "cpu");
  for (const Family family : {Family::gpt2, Family::llama}) {
    Gpt<float> on_cpu = device_model(cpu, family);
    Trainer cpu_trainer = make_trainer(on_cpu, device_settings());
    const std::vector<StepResult> expected = train(cpu_trainer, data, 20);
    CHECK(expected.back().loss < expected.front().loss - 0.3);  // there was something to learn
    const double cpu_validation = validate(cpu_trainer, data, {0, 40, 80});
    for (const Implementation& i : devices()) {
      Gpt<float> model = device_model(i, family);
      Trainer trainer = make_trainer(model, device_settings());
      const std::vector<StepResult> results = train(trainer, data, 20);
      for (std::size_t step = 0; step < results.size(); ++step) {
        INFO(i.name << ", step " << step);
        CHECK(results[step].loss == Approx(expected[step].loss).margin(1e-4).epsilon(0));
        CHECK(results[step].grad_norm == Approx(expected[step].grad_norm).epsilon(1e-2));
      }
      CHECK(validate(trainer, data, {0, 40, 80}) == Approx(cpu_validation).margin(1e-4).epsilon(0));
    }
  }
}

TEST_CASE("a training on a device goes on from its checkpoint to the bit", "[checkpoint][device]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Implementation& i : devices()) {
    Gpt<float> model = device_model(i, Family::gpt2);
    Trainer trainer = make_trainer(model, device_settings());
    train(trainer, data, 2);
    save_checkpoint(trainer, {"data/x", "text", i.name, 1, "emulated"}, folder / "m", "{}");
    const auto checkpoint = newest_checkpoint(folder / "m");
    REQUIRE(checkpoint);
    CHECK(read_checkpoint_info(*checkpoint).origin.device == "emulated");
    Gpt<float> other = device_model(i, Family::gpt2, 99);
    Trainer resumed = make_trainer(other, device_settings());
    load_checkpoint(resumed, *checkpoint);
    const std::vector<StepResult> expected = train(trainer, data, 2);
    const std::vector<StepResult> results = train(resumed, data, 2);
    for (std::size_t k = 0; k < results.size(); ++k) {
      INFO(i.name << ", step " << k);
      CHECK(results[k].loss == expected[k].loss);
      CHECK(results[k].grad_norm == expected[k].grad_norm);
    }
  }
}

TEST_CASE("a training in bf16 has the losses of one in float within 2%",
          "[trainer][device][bf16]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Family family : {Family::gpt2, Family::llama}) {
    Gpt<float> on_cpu = device_model(implementations()[1], family);
    Trainer cpu_trainer = make_trainer(on_cpu, device_settings());
    const std::vector<StepResult> expected = train(cpu_trainer, data, 20);
    const double cpu_validation = validate(cpu_trainer, data, {0, 40, 80});
    for (const InBf16& i : devices_in_bf16()) {
      Pair pair = pair_of(i, family);
      Trainer trainer = make_trainer(pair.model, device_settings(), &pair.rounded);
      const std::vector<StepResult> results = train(trainer, data, 20);
      bool all_equal = true;
      for (std::size_t step = 0; step < results.size(); ++step) {
        INFO(i.name << ", step " << step);
        CHECK(results[step].loss == Approx(expected[step].loss).epsilon(0.02));
        all_equal = all_equal && std::abs(results[step].loss - expected[step].loss) < 1e-5;
      }
      CHECK_FALSE(all_equal);  // or it was float all along
      CHECK(validate(trainer, data, {0, 40, 80}) == Approx(cpu_validation).epsilon(0.02));
    }
  }
}

TEST_CASE("a training in bf16 saves its master weights, and goes on from them to the bit",
          "[checkpoint][device][bf16]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const InBf16& i : devices_in_bf16()) {
    Pair pair = pair_of(i, Family::gpt2);
    Trainer trainer = make_trainer(pair.model, device_settings(), &pair.rounded);
    train(trainer, data, 2);
    save_checkpoint(trainer, {"data/x", "text", i.name, 1, "emulated"}, folder / "m", "{}");
    Pair other = pair_of(i, Family::gpt2, 99);
    Trainer resumed = make_trainer(other.model, device_settings(), &other.rounded);
    load_checkpoint(resumed, *newest_checkpoint(folder / "m"));
    const std::vector<StepResult> expected = train(trainer, data, 2);
    const std::vector<StepResult> results = train(resumed, data, 2);
    for (std::size_t k = 0; k < results.size(); ++k) {
      INFO(i.name << ", step " << k);
      CHECK(results[k].loss == expected[k].loss);
      CHECK(results[k].grad_norm == expected[k].grad_norm);
    }
  }
}
