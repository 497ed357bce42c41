#include "tinygpt/model/gpt.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::testing;

namespace {

Gpt<float> make_tiny(const GptConfig& config, const Ops<float>& ops,
                     Purpose purpose = Purpose::training, int B = 3, int T = 8) {
  return make_gpt(config, ops, host_memory(), purpose, B, T);
}

struct Batch {
  std::vector<int> tokens, targets;
  int B = 0, T = 0;
};

Batch random_batch(const GptConfig& c, int B, int T, std::uint64_t seed = 5) {
  Random random{seed};
  Batch batch{random_tokens(random, B * T, c.vocab_size), {}, B, T};
  batch.targets = random_tokens(random, B * T, c.vocab_size);
  return batch;
}

float loss_of(Gpt<float>& model, const Batch& b, const ForwardOptions& options = {}) {
  return forward(model, b.tokens, b.targets, b.B, b.T, options);
}

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

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace

TEST_CASE("an untrained model's loss is the logarithm of its vocabulary", "[model][forward]") {
  for (const NamedOps& table : all_tables()) {
    for (GptConfig config : {tiny_gpt2(), tiny_llama()}) {
      config.vocab_size = 500;
      Gpt<float> model = make_tiny(config, table.ops);
      init_parameters(model, 1);
      const float loss = loss_of(model, random_batch(config, 3, 8));
      INFO(table.name);
      CHECK(loss == Approx(std::log(500.0)).margin(0.05));
    }
  }
}

TEST_CASE("initial parameters have GPT-2's deviations", "[model][init]") {
  GptConfig config = tiny_gpt2();
  config.width = 96;
  config.hidden = 384;
  config.layers = 8;
  Gpt<float> model = make_tiny(config, ref::ops());
  init_parameters(model, 7);
  for (const Parameter& p : model.layout.parameters) {
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < p.size(); ++i) {
      const double x = model.params()[p.offset + i];
      sum += x;
      squares += x * x;
    }
    const double n = static_cast<double>(p.size());
    INFO(p.name);
    if (!p.decay) {
      CHECK(sum == (p.name.ends_with(".weight") ? n : 0.0));
      continue;
    }
    const bool residual = p.name.ends_with("proj.weight") || p.name.ends_with("down.weight");
    const double expected = residual ? 0.02 / 4 : 0.02;  // sqrt(2 L) is 4
    CHECK(std::sqrt(squares / n) == Approx(expected).epsilon(5 / std::sqrt(2 * n)));
    CHECK(std::abs(sum / n) < 5 * expected / std::sqrt(n));
  }
}

TEST_CASE("initial parameters depend on the seed alone", "[model][init]") {
  Gpt<float> a = make_tiny(tiny_llama(), ref::ops());
  Gpt<float> b = make_tiny(tiny_llama(), cpu::ops(), Purpose::inference, 1, 2);
  const auto bytes = static_cast<std::size_t>(a.layout.total) * sizeof(float);
  init_parameters(a, 3);
  init_parameters(b, 3);
  CHECK(std::memcmp(a.params(), b.params(), bytes) == 0);
  init_parameters(b, 4);
  CHECK(std::memcmp(a.params(), b.params(), bytes) != 0);
}

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

TEST_CASE("a position sees nothing of what comes after it, nor of other sequences",
          "[model][forward]") {
  for (const NamedOps& table : all_tables()) {
    for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
      Gpt<float> model = make_tiny(config, table.ops);
      randomize_parameters(model, 3);
      const int T = 8, V = config.vocab_size;
      Batch batch = random_batch(config, 3, T);
      forward(model, batch.tokens, {}, 3, T);
      const std::vector<float> before = all_logits(model);
      const int b = 1, t = 5;
      int& token = batch.tokens[static_cast<std::size_t>(b * T + t)];
      token = (token + 1) % V;
      forward(model, batch.tokens, {}, 3, T);
      const std::vector<float> after = all_logits(model);
      for (int row = 0; row < 3 * T; ++row) {
        const bool may_change = row / T == b && row % T >= t;
        const auto at = static_cast<std::size_t>(row * V);
        const bool same = std::equal(before.begin() + static_cast<std::ptrdiff_t>(at),
                                     before.begin() + static_cast<std::ptrdiff_t>(at) + V,
                                     after.begin() + row * V);
        INFO(table.name << ", row " << row);
        CHECK(same == !may_change);
      }
    }
  }
}

TEST_CASE("a model for inference says what a model for training says", "[model][inference]") {
  for (const NamedOps& table : all_tables()) {
    for (GptConfig config : {tiny_gpt2(), tiny_llama()}) {
      config.dropout = 0.5f;  // never applied outside training
      Gpt<float> train = make_tiny(config, table.ops);
      Gpt<float> infer = make_tiny(config, table.ops, Purpose::inference);
      randomize_parameters(train, 3);
      std::copy_n(train.params(), train.layout.total, infer.params());
      const Batch batch = random_batch(config, 2, 7);
      INFO(table.name);
      CHECK(loss_of(infer, batch) == Approx(loss_of(train, batch)).epsilon(1e-5));
      const std::vector<float> expected = all_logits(train);
      forward(infer, batch.tokens, {}, 2, 7);
      CHECK(relative_difference(all_logits(infer), expected) < 1e-5);
      std::vector<float> last(static_cast<std::size_t>(config.vocab_size));
      copy_last_logits(infer, 1, last);
      CHECK(relative_difference(last, {expected.end() - config.vocab_size, expected.end()}) < 1e-5);
    }
  }
}

TEST_CASE("a head over many words runs in parts for inference", "[model][inference]") {
  GptConfig config = tiny_gpt2();
  config.vocab_size = 1'000'003;  // four rows of logits at once
  config.width = 3;
  config.hidden = 5;
  Gpt<float> train = make_tiny(config, cpu::ops(), Purpose::training, 2, 5);
  Gpt<float> infer = make_tiny(config, cpu::ops(), Purpose::inference, 2, 5);
  randomize_parameters(train, 3);
  std::copy_n(train.params(), train.layout.total, infer.params());
  Batch batch = random_batch(config, 2, 5);
  batch.targets[9] = kIgnoreTarget;
  CHECK(infer.arena.bytes() < train.arena.bytes() / 2);
  CHECK(loss_of(infer, batch) == Approx(loss_of(train, batch)).epsilon(1e-5));
  CHECK(relative_difference(all_logits(infer), all_logits(train)) < 1e-5);
}

TEST_CASE("dropout is a function of seed and step", "[model][dropout]") {
  for (const NamedOps& table : all_tables()) {
    GptConfig config = tiny_gpt2();
    config.dropout = 0.1f;
    Gpt<float> model = make_tiny(config, table.ops);
    randomize_parameters(model, 3);
    const Batch batch = random_batch(config, 3, 8);
    const float none = loss_of(model, batch);
    const float first = loss_of(model, batch, {true, 1, 1});
    INFO(table.name);
    CHECK(loss_of(model, batch, {true, 1, 1}) == first);
    CHECK(loss_of(model, batch, {true, 1, 2}) != first);
    CHECK(loss_of(model, batch, {true, 2, 1}) != first);
    CHECK(first != none);
    CHECK(loss_of(model, batch, {false, 1, 1}) == none);
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

TEST_CASE("tokens and targets outside the vocabulary are refused by place", "[model][errors]") {
  Gpt<float> model = make_tiny(tiny_gpt2(), ref::ops());
  Batch batch = random_batch(model.config, 2, 8);
  batch.tokens[11] = 23;
  CHECK_THROWS_WITH(loss_of(model, batch),
                    "forward: token 23 at sequence 1, position 3 is not in 0 .. 22");
  batch.tokens[11] = kIgnoreTarget;
  CHECK_THROWS_AS(loss_of(model, batch), Error);
  batch.tokens[11] = 0;
  batch.targets[0] = -2;
  CHECK_THROWS_WITH(loss_of(model, batch),
                    "forward: target -2 at sequence 0, position 0 is not in 0 .. 22");
}

TEST_CASE("a model refuses what it was not made for", "[model][errors]") {
  Gpt<float> model = make_tiny(tiny_gpt2(), ref::ops());
  const Batch batch = random_batch(model.config, 2, 8);
  CHECK_THROWS_WITH(backward(model), ContainsSubstring("there is no forward pass"));
  CHECK_THROWS_WITH(forward(model, batch.tokens, {}, 4, 4), ContainsSubstring("4 x 4 tokens"));
  CHECK_THROWS_WITH(forward(model, batch.tokens, {}, 1, 9), ContainsSubstring("1 x 9 tokens"));
  CHECK_THROWS_WITH(forward(model, batch.tokens, {}, 2, 7), ContainsSubstring("16 tokens"));
  CHECK_THROWS_AS(forward(model, {}, {}, 0, 0), Error);
  loss_of(model, batch);
  backward(model);
  CHECK_THROWS_WITH(backward(model), ContainsSubstring("has been continued"));
  std::vector<float> logits(8 * 23);
  CHECK_THROWS_WITH(copy_logits(model, 0, logits), ContainsSubstring("no sequence 0"));
  loss_of(model, batch);
  CHECK_THROWS_WITH(copy_logits(model, 2, logits), ContainsSubstring("no sequence 2"));
  logits.pop_back();
  CHECK_THROWS_WITH(copy_logits(model, 1, logits), ContainsSubstring("183 values"));
  Gpt<float> infer = make_tiny(tiny_gpt2(), ref::ops(), Purpose::inference);
  loss_of(infer, batch);
  CHECK_THROWS_WITH(backward(infer), ContainsSubstring("inference"));
}

TEST_CASE("a model cannot be made longer than its context or with half a table",
          "[model][errors]") {
  CHECK_THROWS_WITH(make_tiny(tiny_gpt2(), ref::ops(), Purpose::training, 1, 10),
                    ContainsSubstring("context_length of 9"));
  CHECK_THROWS_AS(make_tiny(tiny_gpt2(), ref::ops(), Purpose::training, 0, 8), Error);
  CHECK_THROWS_WITH(make_tiny(tiny_gpt2(), ref::ops(), Purpose::training, 1 << 30, 8),
                    ContainsSubstring("below 2^31"));
  Ops<float> ops = ref::ops();
  ops.gelu_backward = nullptr;
  CHECK_THROWS_WITH(make_tiny(tiny_gpt2(), ops), ContainsSubstring("'gelu'"));
  CHECK_NOTHROW(make_tiny(tiny_llama(), ops));
}

TEST_CASE("a model that no memory can hold is refused in one line", "[model][errors]") {
  GptConfig config = named_config("gpt2-1558m");
  config.layers = 4096;
  config.width = 1 << 18;
  config.heads = config.kv_heads = 64;
  config.hidden = 1 << 20;
  config.vocab_size = 1 << 24;
  CHECK_THROWS_WITH(make_gpt(config, cpu::ops(), host_memory(), Purpose::training, 1, 1024),
                    ContainsSubstring("memory"));
}
