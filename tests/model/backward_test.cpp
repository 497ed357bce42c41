#include "tinygpt/model/gpt.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::testing;

namespace {

// One step of AdamW over everything, as plain as can be.
void step(Gpt<float>& model, std::vector<float>& m, std::vector<float>& v, int count, float lr) {
  AdamwSettings settings;
  settings.lr = lr;
  settings.beta2 = 0.99f;
  settings.weight_decay = 0;
  settings.step = count;
  model.ops.adamw_step(model.params(), nullptr, m.data(), v.data(), model.grads(),
                       model.layout.total, settings);
}

std::vector<float> gradient(const Gpt<float>& model) {
  return {model.grads(), model.grads() + model.layout.total};
}

}  // namespace

TEST_CASE("one batch can be learned by heart", "[model][training]") {
  for (const NamedOps& table : all_tables()) {
    for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
      Gpt<float> model = make_tiny(config, table.ops);
      init_parameters(model, 2);
      const Batch batch = random_batch(config, 3, 8);
      std::vector<float> m(static_cast<std::size_t>(model.layout.total)), v(m);
      float loss = 0;
      for (int i = 1; i <= 150; ++i) {
        zero_gradients(model);
        loss = loss_of(model, batch);
        backward(model);
        step(model, m, v, i, 1e-2f);
      }
      INFO(table.name);
      CHECK(loss < 0.01f);
    }
  }
}

TEST_CASE("gradients that a backward pass starts are those that it adds to zeros",
          "[model][backward]") {
  for (const NamedOps& table : all_tables()) {
    for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
      INFO(table.name);
      Gpt<float> model = make_tiny(config, table.ops);
      randomize_parameters(model, 5);
      Batch first = random_batch(config, 3, 8), second = random_batch(config, 2, 8);
      const auto gradients = [&](void (*begin)(Gpt<float>&)) {
        begin(model);
        for (const Batch* batch : {&first, &second}) {
          loss_of(model, *batch);
          backward(model, 0.5f);
        }
        return std::vector<float>(model.grads(), model.grads() + model.layout.total);
      };
      const std::vector<float> expected = gradients(zero_gradients<float>);
      CHECK(gradients(start_gradients<float>) ==
            expected);  // what is left from before is no matter
      std::fill(first.targets.begin(), first.targets.end(), kIgnoreTarget);
      const std::vector<float> of_second = gradients(zero_gradients<float>);
      CHECK(of_second != expected);
      CHECK(gradients(start_gradients<float>) == of_second);
    }
  }
}

// Along a direction d the loss changes by gradient . d: central differences in float, with a step
// that balances rounding of the loss (1e-7 / step) against its third derivative (step^2).
TEST_CASE("the whole model's gradient matches finite differences", "[model][backward]") {
  for (const NamedOps& table : all_tables()) {
    for (GptConfig config : {tiny_gpt2(), tiny_llama()}) {
      config.dropout = 0.2f;
      Gpt<float> model = make_tiny(config, table.ops);
      randomize_parameters(model, 11);
      Batch batch = random_batch(config, 3, 8);
      batch.targets[4] = kIgnoreTarget;
      const ForwardOptions options{.training = true, .dropout_seed = 9, .dropout_step = 4};
      zero_gradients(model);
      loss_of(model, batch, options);
      backward(model);
      for (const Parameter& p : model.layout.parameters) {
        // Along the gradient itself the derivative is its norm, the largest there is.
        std::vector<float> before(model.params() + p.offset, model.params() + p.offset + p.size());
        double norm = 0;
        for (std::int64_t i = 0; i < p.size(); ++i) {
          norm += double{model.grads()[p.offset + i]} * model.grads()[p.offset + i];
        }
        norm = std::sqrt(norm);
        const double h = 2e-2 / std::max(1.0, norm);
        double loss[2];
        for (const int side : {0, 1}) {
          for (std::int64_t i = 0; i < p.size(); ++i) {
            const double d = model.grads()[p.offset + i] / norm;
            model.params()[p.offset + i] =
                static_cast<float>(before[static_cast<std::size_t>(i)] + (side == 0 ? -h : h) * d);
          }
          loss[side] = loss_of(model, batch, options);
        }
        std::copy(before.begin(), before.end(), model.params() + p.offset);
        INFO(table.name << ": " << p.name << ", norm " << norm);
        CHECK(norm > 1e-4);
        CHECK((loss[1] - loss[0]) / (2 * h) == Approx(norm).epsilon(5e-3).margin(3e-5));
      }
    }
  }
}

TEST_CASE("a tied embedding receives the gradient of both of its uses", "[model][backward]") {
  GptConfig tied = tiny_llama();
  tied.tied_head = true;
  GptConfig untied = tied;
  untied.tied_head = false;
  Gpt<float> a = make_tiny(tied, ref::ops()), b = make_tiny(untied, ref::ops());
  randomize_parameters(a, 3);
  std::copy_n(a.params(), a.layout.total, b.params());
  const std::int64_t n = std::int64_t{tied.vocab_size} * tied.width;
  std::copy_n(a.params() + a.layout.wte, n, b.params() + b.layout.head);
  const Batch batch = random_batch(tied, 3, 8);
  for (Gpt<float>* model : {&a, &b}) {
    zero_gradients(*model);
    loss_of(*model, batch);
    backward(*model);
  }
  double embedding = 0, head = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float from_embedding = b.grads()[b.layout.wte + i];
    const float from_head = b.grads()[b.layout.head + i];
    embedding += std::abs(from_embedding);
    head += std::abs(from_head);
    REQUIRE(a.grads()[a.layout.wte + i] == Approx(from_embedding + from_head).margin(1e-6));
  }
  CHECK(embedding > 0.01);
  CHECK(head > 0.01);
}

TEST_CASE("gradients accumulate, and their scale is the caller's", "[model][backward]") {
  Gpt<float> model = make_tiny(tiny_gpt2(), cpu::ops());
  randomize_parameters(model, 3);
  const Batch batch = random_batch(model.config, 2, 7);
  loss_of(model, batch);
  backward(model);
  const std::vector<float> whole = gradient(model);
  zero_gradients(model);
  for (int i = 0; i < 2; ++i) {
    loss_of(model, batch);
    backward(model, 0.5f);
  }
  CHECK(relative_difference(gradient(model), whole) < 1e-6);
}

TEST_CASE("a long batch's gradient is the mean of its parts'", "[model][backward]") {
  for (const NamedOps& table : all_tables()) {
    Gpt<float> model = make_tiny(tiny_llama(), table.ops);
    randomize_parameters(model, 3);
    const Batch batch = random_batch(model.config, 3, 8);
    zero_gradients(model);
    const float loss = loss_of(model, batch);
    backward(model);
    const std::vector<float> whole = gradient(model);
    zero_gradients(model);
    float sum = 0;
    for (int b = 0; b < 3; ++b) {
      const auto part = [&](const std::vector<int>& v) { return std::span(v).subspan(b * 8, 8); };
      sum += forward(model, part(batch.tokens), part(batch.targets), 1, 8) / 3;
      backward(model, 1.0f / 3);
    }
    INFO(table.name);
    CHECK(sum == Approx(loss).epsilon(1e-5));
    CHECK(relative_difference(gradient(model), whole) < 1e-5);
  }
}

TEST_CASE("ignored targets have no say", "[model][loss]") {
  Gpt<float> model = make_tiny(tiny_gpt2(), cpu::ops());
  randomize_parameters(model, 3);
  Batch batch = random_batch(model.config, 1, 8);
  for (int t = 3; t < 8; ++t) batch.targets[static_cast<std::size_t>(t)] = kIgnoreTarget;
  zero_gradients(model);
  const float loss = loss_of(model, batch);
  backward(model);
  const std::vector<float> masked = gradient(model);
  const Batch shorter{{batch.tokens.begin(), batch.tokens.begin() + 3},
                      {batch.targets.begin(), batch.targets.begin() + 3},
                      1,
                      3};
  zero_gradients(model);
  CHECK(loss_of(model, shorter) == Approx(loss).epsilon(1e-5));
  backward(model);
  CHECK(relative_difference(gradient(model), masked) < 1e-5);

  std::fill(batch.targets.begin(), batch.targets.end(), kIgnoreTarget);
  zero_gradients(model);
  CHECK(loss_of(model, batch) == 0.0f);
  backward(model);
  for (const float g : gradient(model)) REQUIRE(g == 0.0f);
}
