// The functions that lesson 13 teaches take the same steps as the library's trainer.
#include "solutions/13-training-loop/batch.h"
#include "solutions/13-training-loop/schedule.h"
#include "solutions/13-training-loop/step.h"
#include "tests/support/catch.h"
#include "tests/train/small_training.h"
#include "tinygpt/text/batches.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

std::vector<int> tokens_of(const TokenFile& file) {
  std::vector<int> tokens;
  for (std::int64_t i = 0; i < file.size(); ++i) tokens.push_back(file[i]);
  return tokens;
}

}  // namespace

TEST_CASE("the lesson's next_batch draws the library's windows", "[next_batch][lesson-13]") {
  const TemporaryFolder folder;
  const TokenFile file = small_data(folder, 40);
  const std::vector<int> text = tokens_of(file);
  Random random{3, 0, kDataStream}, same = random;
  std::vector<int> tokens(7 * 11), targets(7 * 11), wanted(7 * 11), wanted_targets(7 * 11);
  for (int i = 0; i < 5; ++i) {
    ref::next_batch(tokens, targets, text, 7, 11, random);
    next_batch(wanted, wanted_targets, file, 7, 11, kAnywhere, same);
    CHECK(tokens == wanted);
    CHECK(targets == wanted_targets);
  }
}

TEST_CASE("the lesson's train_step takes the trainer's steps, to the bit",
          "[train_step][lesson-13]") {
  const TemporaryFolder folder;
  const TokenFile file = small_data(folder);
  const std::vector<int> text = tokens_of(file);
  TrainSettings settings = small_settings();
  settings.accumulate = 3, settings.clip = 0.5f;
  Gpt<float> wanted = small_model(small_config(), settings);
  Gpt<float> model = small_model(small_config(), settings);
  Trainer trainer = make_trainer(wanted, settings);

  std::vector<ref::ParameterShape> shapes;
  for (const Parameter& p : model.layout.parameters) {
    shapes.push_back({p.offset, p.rows, p.cols});
    CHECK(p.decay == (p.rows > 1));
  }
  const auto n = static_cast<std::size_t>(model.layout.total);
  std::vector<float> m(n), v(n),
      scratch(static_cast<std::size_t>(model.ops.gradient_norm_scratch_size(model.layout.total)));
  const ref::TrainingState state{{model.params(), n}, {model.grads(), n}, m, v, scratch, shapes};
  std::vector<int> tokens(trainer.tokens.size()), targets(tokens.size());
  Random random{settings.seed, 0, kDataStream};
  const auto pass = [&](int, float scale) {
    ref::next_batch(tokens, targets, text, settings.batch, settings.time, random);
    const double loss = forward(model, tokens, targets, settings.batch, settings.time);
    backward(model, scale);
    return loss;
  };
  for (int step = 0; step < 8; ++step) {
    ref::StepPlan plan{settings.accumulate, settings.clip, {}};
    plan.adamw.lr = ref::learning_rate_at(
        step, {settings.lr, settings.min_lr, settings.warmup, settings.steps});
    plan.adamw.beta1 = settings.beta1, plan.adamw.beta2 = settings.beta2;
    plan.adamw.weight_decay = settings.weight_decay;
    plan.adamw.step = step + 1;
    const ref::StepResult result = ref::train_step(state, pass, model.ops, plan);
    const StepResult same = train_step(trainer, file);
    CHECK(result.loss == same.loss);
    CHECK(result.norm == same.grad_norm);
  }
  CHECK(same_bits(parameters_of(model), parameters_of(wanted)));
  CHECK(same_bits(m, floats_of(trainer.m)));
  CHECK(same_bits(v, floats_of(trainer.v)));
}
