#include <algorithm>
#include <cstring>
#include <filesystem>

#include "lessons/13-training-loop/lab.h"
#include "lessons/support/demo.h"
#include "solutions/13-training-loop/batch.h"
#include "solutions/13-training-loop/optimizer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::lessons {
namespace {

// AdamW with one ingredient left out.
void adamw_uncorrected(float* param, float* master, float* m, float* v, const float* grad,
                       std::int64_t n, const AdamwSettings& settings) {
  AdamwSettings late = settings;
  late.step = 1'000'000;  // where both corrections have become 1
  ref::adamw_step(param, master, m, v, grad, n, late);
}

void adam_l2(float* param, float* master, float* m, float* v, const float* grad, std::int64_t n,
             const AdamwSettings& settings) {
  std::vector<float> with_decay(grad, grad + n);
  for (std::int64_t i = 0; i < n; ++i) {
    with_decay[static_cast<std::size_t>(i)] += settings.weight_decay * param[i];
  }
  AdamwSettings none = settings;
  none.weight_decay = 0;
  ref::adamw_step(param, master, m, v, with_decay.data(), n, none);
}

void sgd(float* param, float*, float*, float*, const float* grad, std::int64_t n,
         const AdamwSettings& s) {
  for (std::int64_t i = 0; i < n; ++i) param[i] -= s.lr * (grad[i] + s.weight_decay * param[i]);
}

Ops<float> kernels(Optimizer optimizer) {
  Ops<float> ops = cpu::ops();
  ops.gradient_norm = ref::gradient_norm;
  ops.gradient_norm_scratch_size = ref::gradient_norm_scratch_size;
  ops.clip_gradients = ref::clip_gradients;
  ops.adamw_clipped_step = nullptr;  // both in one, which the trainer would take instead
  switch (optimizer) {
    case Optimizer::adamw:
      ops.adamw_step = ref::adamw_step;
      break;
    case Optimizer::no_correction:
      ops.adamw_step = adamw_uncorrected;
      break;
    case Optimizer::adam_l2:
      ops.adamw_step = adam_l2;
      break;
    case Optimizer::sgd:
      ops.adamw_step = sgd;
      break;
  }
  return ops;
}

GptConfig small_model(int V) {
  GptConfig c;
  c.vocab_size = V;
  c.context_length = kTime;
  c.layers = 2;
  c.heads = c.kv_heads = 4;
  c.width = 48;
  c.hidden = 192;
  return c;
}

template <class T>
void append(std::string& bytes, const T* values, std::size_t n) {
  bytes.append(reinterpret_cast<const char*>(values), n * sizeof(T));
}

}  // namespace

Text load_text() {
  const Stories stories = make_stories(1000);
  Text text;
  text.floor = stories.floor_nats_per_byte;
  std::vector<int> number(256, -1);
  const auto encode = [&](const std::string& from) {
    std::vector<int> tokens;
    for (const char byte : from) {
      int& n = number[static_cast<unsigned char>(byte)];
      if (n < 0) n = text.V++;
      tokens.push_back(n);
    }
    return tokens;
  };
  text.train = encode(stories.train), text.validation = encode(stories.validation);
  return text;
}

Training::Training(const Text& text, const Recipe& recipe)
    : recipe_(recipe),
      text_(text),
      model_(make_gpt(small_model(text.V), kernels(recipe.optimizer), host_memory(),
                      Purpose::training, recipe.batch, kTime)),
      random_{recipe.seed, 0, 1} {
  init_parameters(model_, recipe.seed);
  for (const Parameter& p : model_.layout.parameters) shapes_.push_back({p.offset, p.rows, p.cols});
  const auto n = static_cast<std::size_t>(model_.layout.total);
  m_.assign(n, 0.0f), v_.assign(n, 0.0f);
  scratch_.resize(static_cast<std::size_t>(ref::gradient_norm_scratch_size(model_.layout.total)));
  tokens_.resize(static_cast<std::size_t>(recipe.batch * kTime));
  targets_.resize(tokens_.size());
}

// snippet: step
double Training::pass(float scale) {
  ref::next_batch(tokens_, targets_, text_.train, recipe_.batch, kTime, random_);
  const double loss = forward(model_, tokens_, targets_, recipe_.batch, kTime);
  backward(model_, scale);
  return loss;
}

ref::StepResult Training::step(const ref::Pass& pass) {
  const auto n = static_cast<std::size_t>(model_.layout.total);
  ref::StepPlan plan{recipe_.passes, recipe_.max_norm, {}};
  plan.adamw.lr = ref::learning_rate_at(steps_, recipe_.schedule);
  plan.adamw.beta2 = recipe_.beta2;
  plan.adamw.weight_decay = recipe_.weight_decay;
  plan.adamw.step = ++steps_;
  const ref::TrainingState state{
      {model_.params(), n}, {model_.grads(), n}, m_, v_, scratch_, shapes_};
  return ref::train_step(state, pass, model_.ops, plan);
}
// end of snippet

ref::StepResult Training::step() {
  return step([this](int, float scale) { return pass(scale); });
}

double Training::validation_loss() {
  constexpr int kWindows = 256;
  double sum = 0;
  int passes = 0;
  const auto B = static_cast<std::size_t>(recipe_.batch);
  std::vector<int> tokens(B * kTime), targets(tokens.size());
  for (std::size_t first = 0; first + B <= kWindows; first += B, ++passes) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::size_t at = first * kTime + i;
      tokens[i] = text_.validation[at], targets[i] = text_.validation[at + 1];
    }
    sum += forward(model_, tokens, targets, recipe_.batch, kTime);
  }
  return sum / passes;
}

std::vector<float> Training::weights() const {
  return {model_.params(), model_.params() + model_.layout.total};
}

Training::State Training::state() const { return {weights(), m_, v_, random_, steps_}; }

void Training::set_state(const State& state) {
  std::copy(state.params.begin(), state.params.end(), model_.params());
  m_ = state.m, v_ = state.v, random_ = state.random, steps_ = state.steps;
}

void write_state(const std::string& path, const Training::State& state) {
  std::string bytes;
  for (const auto* values : {&state.params, &state.m, &state.v}) {
    append(bytes, values->data(), values->size());
  }
  append(bytes, &state.random, 1);
  append(bytes, &state.steps, 1);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_file_atomically(path, bytes);
}

Training::State read_state(const std::string& path, std::size_t values) {
  const std::string bytes = read_file(path);
  check(bytes.size() == 3 * values * sizeof(float) + sizeof(Random) + sizeof(int),
        [&] { return path + ": this is no checkpoint of this model"; });
  Training::State state;
  const char* at = bytes.data();
  const auto take = [&](void* to, std::size_t size) {
    std::memcpy(to, at, size);
    at += size;
  };
  for (auto* part : {&state.params, &state.m, &state.v}) {
    part->resize(values);
    take(part->data(), values * sizeof(float));
  }
  take(&state.random, sizeof(Random));
  take(&state.steps, sizeof(int));
  return state;
}

}  // namespace tinygpt::lessons
