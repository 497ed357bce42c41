#include "tinygpt/train/trainer.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/catch.h"
#include "tests/train/small_training.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/batches.h"

using namespace tinygpt;
using namespace tinygpt::test;

TEST_CASE("a training lowers the loss", "[trainer]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Family family : {Family::gpt2, Family::llama}) {
    TrainSettings settings = small_settings();
    settings.lr = 1e-2f;
    Gpt<float> model = small_model(small_config(family), settings);
    Trainer trainer = make_trainer(model, settings);
    const double before = validate(trainer, data, eval_starts(trainer, data, true));
    CHECK(before == Approx(std::log(24)).epsilon(0.02));  // it knows nothing yet
    for (int i = 0; i < settings.steps; ++i) train_step(trainer, data);
    CHECK(validate(trainer, data, eval_starts(trainer, data, true)) < before - 0.5);
    CHECK(*trainer.validation_loss < before - 0.5);
  }
}

TEST_CASE("weight decay shrinks matrices and nothing else", "[trainer][adamw][lesson-13]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  for (const Family family : {Family::gpt2, Family::llama}) {
    TrainSettings settings = small_settings();
    settings.weight_decay = 0;
    Gpt<float> plain = small_model(small_config(family), settings);
    const std::vector<float> start(parameters_of(plain).begin(), parameters_of(plain).end());
    Trainer without = make_trainer(plain, settings);
    const float lr = train_step(without, data).lr;
    settings.weight_decay = 0.5f;
    Gpt<float> shrunk = small_model(small_config(family), settings);
    Trainer with = make_trainer(shrunk, settings);
    train_step(with, data);
    int decayed = 0;
    for (const Parameter& p : plain.layout.parameters) {
      INFO(p.name);
      const bool is_matrix = p.rows > 1;
      REQUIRE(p.decay == is_matrix);
      decayed += p.decay;
      for (std::int64_t i = p.offset; i < p.offset + p.size(); ++i) {
        const float difference = plain.params()[i] - shrunk.params()[i];
        const float expected = p.decay ? lr * 0.5f * start[static_cast<std::size_t>(i)] : 0.0f;
        REQUIRE(std::fabs(difference - expected) <= (p.decay ? 1e-8f : 0.0f));
      }
    }
    CHECK(decayed >= 9);  // embedding and four matrices in each of two blocks
  }
}

TEST_CASE("accumulating three batches is one batch three times as large",
          "[trainer][accumulation][lesson-13]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = small_settings();
  settings.clip = 0;
  settings.batch = 2;
  settings.accumulate = 3;
  Gpt<float> first = small_model(small_config(), settings);
  Trainer accumulated = make_trainer(first, settings);
  const StepResult a = train_step(accumulated, data);
  settings.batch = 6;
  settings.accumulate = 1;
  Gpt<float> second = small_model(small_config(), settings);
  Trainer whole = make_trainer(second, settings);
  const StepResult b = train_step(whole, data);
  CHECK(a.loss == Approx(b.loss).epsilon(1e-6));
  CHECK(a.grad_norm == Approx(b.grad_norm).epsilon(1e-5));
  CHECK(accumulated.data_random.counter == whole.data_random.counter);
  double difference = 0;
  for (std::size_t i = 0; i < gradients_of(first).size(); ++i) {
    const double d = double{gradients_of(first)[i]} - gradients_of(second)[i];
    difference += d * d;
  }
  CHECK(std::sqrt(difference) < 1e-5 * b.grad_norm);
}

TEST_CASE("clipping scales the whole gradient to the norm and reports the norm before",
          "[trainer][clip][lesson-13]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = small_settings();
  settings.clip = 0;
  Gpt<float> free_model = small_model(small_config(), settings);
  Trainer free_trainer = make_trainer(free_model, settings);
  const StepResult free_step = train_step(free_trainer, data);
  settings.clip = 0.01f;
  Gpt<float> model = small_model(small_config(), settings);
  Trainer trainer = make_trainer(model, settings);
  const StepResult step = train_step(trainer, data);
  REQUIRE(free_step.grad_norm > 0.1f);
  CHECK(step.grad_norm == free_step.grad_norm);
  const float scale = 0.01f / free_step.grad_norm;
  // The first step's m is the gradient that the update saw, times 1 - beta1.
  const auto* moments = static_cast<const float*>(trainer.m.data());
  double squares = 0;
  for (std::size_t i = 0; i < gradients_of(model).size(); ++i) {
    const double g = moments[i] / (1.0 - settings.beta1);
    squares += g * g;
    REQUIRE(g == Approx(scale * gradients_of(free_model)[i]).epsilon(1e-4).margin(1e-12));
  }
  CHECK(std::sqrt(squares) == Approx(0.01).epsilon(1e-4));
}

TEST_CASE("equal seeds train equal models, and validating on the way changes nothing",
          "[trainer][seed]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  const auto train = [&](std::uint64_t seed, bool validating) {
    TrainSettings settings = small_settings();
    settings.seed = seed;
    GptConfig config = small_config();
    config.dropout = 0.1f;
    Gpt<float> model = small_model(config, settings);
    Trainer trainer = make_trainer(model, settings);
    for (int i = 0; i < 10; ++i) {
      if (validating) validate(trainer, data, {0, 100, 300});
      train_step(trainer, data);
    }
    return std::vector<float>(parameters_of(model).begin(), parameters_of(model).end());
  };
  const std::vector<float> model = train(1, false);
  CHECK(same_bits(model, train(1, false)));
  CHECK(same_bits(model, train(1, true)));
  CHECK_FALSE(same_bits(model, train(2, false)));
}

TEST_CASE("dropout acts in training and not in validation", "[trainer][dropout]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  const TrainSettings settings = small_settings();
  GptConfig config = small_config();
  Gpt<float> plain = small_model(config, settings);
  config.dropout = 0.5f;
  Gpt<float> dropping = small_model(config, settings);
  Trainer a = make_trainer(plain, settings), b = make_trainer(dropping, settings);
  CHECK(validate(a, data, {0, 5}) == validate(b, data, {0, 5}));
  CHECK(train_step(a, data).loss != train_step(b, data).loss);
}

TEST_CASE("a loss or gradient that is not finite stops the training before anything is updated",
          "[trainer][diverged]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  const TrainSettings settings = small_settings();
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Gpt<float> model = small_model(small_config(), settings);
    Trainer trainer = make_trainer(model, settings);
    train_step(trainer, data);
    model.params()[model.layout.norm_f_weight] = bad;
    const std::vector<float> before(parameters_of(model).begin(), parameters_of(model).end());
    CHECK_THROWS_WITH(train_step(trainer, data),
                      ContainsSubstring("step 2") && ContainsSubstring("--lr"));
    CHECK(same_bits(before, parameters_of(model)));
    CHECK(trainer.step == 1);
  }
}

TEST_CASE("validation is the mean over its windows, whatever the batch", "[trainer][validation]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = small_settings();
  settings.eval_context = 4;
  Gpt<float> model = small_model(small_config(), settings);
  Trainer trainer = make_trainer(model, settings);
  const ValidationPlan plan{10, 4};
  const auto starts = validation_starts(data, plan, 7);  // not a multiple of the batch
  REQUIRE(starts.size() == 7);
  double sum = 0;
  std::vector<int> tokens(10), targets(10);
  for (const std::int64_t start : starts) {
    validation_window(tokens, targets, data, start, plan);
    sum += forward(model, tokens, targets, 1, 10);
  }
  CHECK(validate(trainer, data, starts) == Approx(sum / 7).epsilon(1e-6));
}

TEST_CASE("a validation of documents weighs every token alike", "[trainer][validation]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  TrainSettings settings = small_settings();
  settings.documents = true;
  GptConfig config = small_config();
  config.eos_token = data[0];  // some token will do
  Gpt<float> model = small_model(config, settings);
  Trainer trainer = make_trainer(model, settings);
  const auto starts = eval_starts(trainer, data, true);
  const ValidationPlan plan{10, 0, config.eos_token};
  double sum = 0;
  int counted = 0;
  std::vector<int> tokens(10), targets(10);
  for (const std::int64_t start : starts) {
    const int n = validation_window(tokens, targets, data, start, plan);
    sum += forward(model, tokens, targets, 1, 10) * n;
    counted += n;
  }
  CHECK(counted < 10 * static_cast<int>(starts.size()));
  CHECK(validate(trainer, data, starts) == Approx(sum / counted).epsilon(1e-6));
  train_step(trainer, data);
  CHECK(trainer.tokens[0] == config.eos_token);
}

TEST_CASE("whole documents need a token that ends them", "[trainer]") {
  TrainSettings settings = small_settings();
  settings.documents = true;
  Gpt<float> model = small_model(small_config(), settings);
  CHECK_THROWS_WITH(make_trainer(model, settings), ContainsSubstring("--documents"));
}

TEST_CASE("a validation reads as many windows as it is told, and never more than there are",
          "[trainer][validation]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);  // 600 tokens: 59 windows of 10
  TrainSettings settings = small_settings();
  Gpt<float> model = small_model(small_config(), settings);
  Trainer trainer = make_trainer(model, settings);
  trainer.settings.eval_tokens = 200;
  CHECK(eval_starts(trainer, data, false).size() == 20);
  CHECK(eval_starts(trainer, data, true).size() == 59);
  trainer.settings.eval_tokens = 1;
  CHECK(eval_starts(trainer, data, false).size() == 1);
  trainer.settings.eval_tokens = 1'000'000'000;
  CHECK(eval_starts(trainer, data, false).size() == 59);
}

TEST_CASE("measuring the speed changes nothing", "[trainer]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder);
  const TrainSettings settings = small_settings();
  Gpt<float> model = small_model(small_config(), settings);
  Gpt<float> other = small_model(small_config(), settings);
  Trainer a = make_trainer(model, settings), b = make_trainer(other, settings);
  CHECK(measure_step_seconds(a, data, 0.01) > 0);
  train_step(a, data);
  train_step(b, data);
  CHECK(same_bits(parameters_of(model), parameters_of(other)));
  CHECK(same_bits(floats_of(a.m), floats_of(b.m)));
  CHECK(a.data_random.counter == b.data_random.counter);
}

TEST_CASE("settings out of range are refused by the option's name", "[trainer][settings]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto refused = [](const char* option, const auto& change) {
    TrainSettings settings = small_settings();
    change(settings);
    INFO(option);
    CHECK_THROWS_WITH(check_settings(settings, small_config()), ContainsSubstring(option));
  };
  using S = TrainSettings;
  check_settings(small_settings(), small_config());
  refused("--batch", [](S& s) { s.batch = 0; });
  refused("--batch", [](S& s) { s.batch = 2'000'000; });
  refused("--time", [](S& s) { s.time = 13; });
  refused("--time", [](S& s) { s.time = 0; });
  refused("--accumulate", [](S& s) { s.accumulate = 0; });
  refused("--steps", [](S& s) { s.steps = 0; });
  refused("--lr", [](S& s) { s.lr = -1; });
  refused("--lr", [=](S& s) { s.lr = nan; });
  refused("--min-lr", [](S& s) { s.min_lr = 1; });
  refused("--min-lr", [=](S& s) { s.min_lr = nan; });
  refused("--warmup", [](S& s) { s.warmup = 51; });
  refused("--beta1", [](S& s) { s.beta1 = 1; });
  refused("--beta2", [](S& s) { s.beta2 = -0.1f; });
  refused("--weight-decay", [](S& s) { s.weight_decay = 1.5f; });
  refused("--clip", [](S& s) { s.clip = -1; });
  refused("--eval-every", [](S& s) { s.eval_every = 0; });
  refused("--eval-tokens", [](S& s) { s.eval_tokens = 0; });
  refused("--eval-context", [](S& s) { s.eval_context = 10; });
}

TEST_CASE("a text shorter than a window is refused by name", "[trainer][corpus]") {
  const TemporaryFolder folder;
  const TokenFile data = small_data(folder, 10);
  check_length(data, 9);
  CHECK_THROWS_WITH(check_length(data, 10), ContainsSubstring("tokens.npy"));
}
