// Text from a device is the text from the CPU.
#include "tests/support/catch.h"
#include "tests/support/implementations.h"
#include "tinygpt/infer/generate.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

Gpt<float> model_on(const Implementation& i, Purpose purpose, Family family) {
  GptConfig c;
  c.family = family;
  c.vocab_size = 50;
  c.context_length = 16;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = family == Family::llama ? 2 : 4;
  c.width = 24;
  c.hidden = 40;
  Gpt<float> model = make_gpt(c, i.ops, i.memory, purpose, 1, 16);
  init_parameters(model, 3);
  // Larger weights than a fresh model's, so that what it writes depends on what it reads.
  std::vector<float> values(static_cast<std::size_t>(model.layout.total));
  i.memory.copy_out(values.data(), model.params(), values.size() * sizeof(float));
  for (float& value : values) value *= 10;
  i.memory.copy_in(model.params(), values.data(), values.size() * sizeof(float));
  return model;
}

// Greedy, and by temperature alone: drawn on the device. With a cut: drawn on the host.
std::vector<SamplingSettings> ways() {
  return {{.temperature = 0}, {.temperature = 1}, {.top_k = 5}, {.top_p = 0.7f}};
}

}  // namespace

TEST_CASE("a device writes the text that the CPU writes", "[generate][device]") {
  const Implementation cpu = implementations()[1];
  REQUIRE(cpu.name == "cpu");
  for (const Implementation& i : implementations()) {
    if (i.device == Device::host) continue;
    REQUIRE(i.ops.sample_token != nullptr);
    for (const Family family : {Family::gpt2, Family::llama}) {
      for (const Purpose purpose : {Purpose::inference, Purpose::training}) {
        Gpt<float> expected = model_on(cpu, purpose, family), model = model_on(i, purpose, family);
        for (const SamplingSettings& sampling : ways()) {
          INFO(i.name << ", temperature " << sampling.temperature << ", top-k " << sampling.top_k
                      << ", top-p " << sampling.top_p);
          const GenerateSettings s{.sampling = sampling, .max_tokens = 24};
          CHECK(generate(model, std::vector<int>{1, 2}, s) ==
                generate(expected, std::vector<int>{1, 2}, s));
        }
      }
    }
  }
}
