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
