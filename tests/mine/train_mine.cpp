// Trains two tiny GPTs, one of each family, with one table of kernels, and prints their losses.
//
// Compiled twice: with ref, and with ref renamed to mine, where the table holds what the exercises'
// solutions compute. Nothing else that computes is linked.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "solutions/table.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"

using namespace tinygpt;

namespace {

constexpr int kBatch = 4, kTime = 16, kSteps = 40;

GptConfig config_of(Family family) {
  GptConfig c;
  c.family = family;
  c.vocab_size = 16;
  c.context_length = kTime;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = family == Family::llama ? 2 : 4;
  c.width = 32;
  c.hidden = 64;
  return c;
}

// A text with a rule in it: after token t comes t + 3.
void next_batch(Random& random, std::vector<int>& tokens, std::vector<int>& targets) {
  for (int b = 0; b < kBatch; ++b) {
    int token = static_cast<int>(random.below(16));
    for (int t = 0; t < kTime; ++t) {
      tokens[static_cast<std::size_t>(b * kTime + t)] = token;
      token = (token + 3) % 16;
      targets[static_cast<std::size_t>(b * kTime + t)] = token;
    }
  }
}

void step(Gpt<float>& model, std::vector<float>& moments, int number) {
  const auto n = model.layout.total;
  AdamwSettings settings;
  settings.lr = 1e-2f;
  settings.step = number;
  model.ops.adamw_step(model.params(), nullptr, moments.data(), moments.data() + n, model.grads(),
                       n, settings);
}

void train(Family family, const char* name) {
  Gpt<float> model =
      make_gpt(config_of(family), ref::ops(), host_memory(), Purpose::training, kBatch, kTime);
  init_parameters(model, 1);
  std::vector<float> moments(2 * static_cast<std::size_t>(model.layout.total));
  std::vector<int> tokens(kBatch * kTime), targets(kBatch * kTime);
  Random random{7};
  for (int number = 1; number <= kSteps; ++number) {
    next_batch(random, tokens, targets);
    zero_gradients(model);
    const float loss = forward(model, tokens, targets, kBatch, kTime, {.training = true});
    backward(model);
    step(model, moments, number);
    if (number % 10 == 0 || number == 1) fmt::print("{} step {} loss {:.9g}\n", name, number, loss);
  }
}

}  // namespace

int main() {
  train(Family::gpt2, "gpt2");
  train(Family::llama, "llama");
}
