#include "tinygpt/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "solutions/13-training-loop/schedule.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/batches.h"

namespace tinygpt {
namespace {

void check_range(const char* option, double value, double low, double high) {
  check(value >= low && value <= high, [&] {
    return fmt::format("{} is {}: it must be between {} and {}", option, value, low, high);
  });
}

DeviceBuffer zeroed(const Memory& memory, std::int64_t floats) {
  DeviceBuffer buffer(memory, floats * std::int64_t{sizeof(float)});
  memory.zero(buffer.data(), static_cast<std::size_t>(buffer.bytes()));
  return buffer;
}

float* floats(const DeviceBuffer& buffer) { return static_cast<float*>(buffer.data()); }

// One call for each run of neighbouring parameters that decay alike. The padding between them is
// zero, has no gradient, and stays zero.
void apply_adamw(Trainer& trainer, AdamwSettings settings) {
  const Gpt<float>& model = *trainer.model;
  const std::vector<Parameter>& all = model.layout.parameters;
  for (std::size_t first = 0; first < all.size();) {
    std::size_t last = first + 1;
    while (last < all.size() && all[last].decay == all[first].decay) ++last;
    const std::int64_t begin = all[first].offset;
    const std::int64_t end = last < all.size() ? all[last].offset : model.layout.total;
    settings.weight_decay = all[first].decay ? trainer.settings.weight_decay : 0.0f;
    model.ops.adamw_step(model.params() + begin, nullptr, floats(trainer.m) + begin,
                         floats(trainer.v) + begin, model.grads() + begin, end - begin, settings);
    first = last;
  }
}

// The gradient's norm, after clipping the gradient by it.
float clip_by_norm(Trainer& trainer) {
  const Gpt<float>& model = *trainer.model;
  float* norm = floats(trainer.scratch);
  // The scratch proper starts a cache line behind the norm.
  model.ops.gradient_norm(norm, model.grads(), norm + 16, model.layout.total);
  if (trainer.settings.clip > 0) {
    model.ops.clip_gradients(model.grads(), norm, model.layout.total, trainer.settings.clip);
  }
  float value = 0;
  model.memory.copy_out(&value, norm, sizeof(value));
  return value;
}

// Adds the gradients of settings.accumulate batches and gives their mean loss.
double accumulate_gradients(Trainer& trainer, const TokenFile& data) {
  const TrainSettings& s = trainer.settings;
  zero_gradients(*trainer.model);
  double loss = 0;
  for (int i = 0; i < s.accumulate; ++i) {
    next_batch(trainer.tokens, trainer.targets, data, s.batch, s.time, trainer.data_random);
    ForwardOptions options;
    options.training = true;
    options.dropout_seed = s.seed;
    options.dropout_step = static_cast<std::uint64_t>(trainer.step) * s.accumulate + i;
    loss += forward(*trainer.model, trainer.tokens, trainer.targets, s.batch, s.time, options);
    backward(*trainer.model, 1.0f / static_cast<float>(s.accumulate));
  }
  return loss / s.accumulate;
}

}  // namespace

void check_settings(const TrainSettings& s, const GptConfig& config) {
  check_range("--batch", s.batch, 1, 1 << 20);
  check_range("--accumulate", s.accumulate, 1, 1 << 20);
  check_range("--steps", s.steps, 1, 1e9);
  check_range("--lr", s.lr, 0, 100);
  check_range("--min-lr", s.min_lr, 0, s.lr);
  check_range("--warmup", s.warmup, 0, 1e9);
  check_range("--beta1", s.beta1, 0, 0.99999);
  check_range("--beta2", s.beta2, 0, 0.9999999);
  check_range("--weight-decay", s.weight_decay, 0, 1);
  check_range("--clip", s.clip, 0, 1e9);
  check_range("--eval-every", s.eval_every, 1, 1e9);
  check_range("--eval-windows", s.eval_windows, 1, 1e9);
  check_range("--eval-context", s.eval_context, 0, s.time - 1);
  check(s.time >= 1 && s.time <= config.context_length, [&] {
    return fmt::format("--time is {}: it must be between 1 and the model's context of {}", s.time,
                       config.context_length);
  });
  check(std::int64_t{s.batch} * s.time < (std::int64_t{1} << 31), [&] {
    return fmt::format("--batch {} times {} tokens is too much for one pass: use --accumulate",
                       s.batch, s.time);
  });
}

Trainer make_trainer(Gpt<float>& model, const TrainSettings& settings) {
  check_settings(settings, model.config);
  Trainer trainer;
  trainer.model = &model;
  trainer.settings = settings;
  const std::int64_t n = model.layout.total;
  trainer.m = zeroed(model.memory, n);
  trainer.v = zeroed(model.memory, n);
  trainer.scratch = zeroed(model.memory, 16 + model.ops.gradient_norm_scratch_size(n));
  trainer.data_random = {settings.seed, 0, kDataStream};
  const auto size =
      static_cast<std::size_t>(settings.batch) * static_cast<std::size_t>(settings.time);
  trainer.tokens.resize(size);
  trainer.targets.resize(size);
  return trainer;
}

StepResult train_step(Trainer& trainer, const TokenFile& data) {
  const TrainSettings& s = trainer.settings;
  StepResult result;
  result.loss = accumulate_gradients(trainer, data);
  result.grad_norm = clip_by_norm(trainer);
  check(std::isfinite(result.loss) && std::isfinite(result.grad_norm), [&] {
    return fmt::format(
        "step {}: the loss is {} and the gradient's norm {}: the training has "
        "diverged. Nothing was saved since the last checkpoint; try a smaller --lr or "
        "a longer --warmup",
        trainer.step + 1, result.loss, result.grad_norm);
  });
  result.lr = ref::learning_rate_at(trainer.step, {s.lr, s.min_lr, s.warmup, s.steps});
  AdamwSettings adamw;
  adamw.lr = result.lr;
  adamw.beta1 = s.beta1;
  adamw.beta2 = s.beta2;
  adamw.step = trainer.step + 1;
  apply_adamw(trainer, adamw);
  ++trainer.step;
  return result;
}

double validate(Trainer& trainer, const TokenFile& data, std::int64_t windows) {
  const TrainSettings& s = trainer.settings;
  const std::int64_t count =
      std::min(windows, validation_window_count(data, s.time, s.eval_context));
  const auto T = static_cast<std::size_t>(s.time);
  double sum = 0;
  for (std::int64_t i = 0; i < count; i += s.batch) {
    const int B = static_cast<int>(std::min<std::int64_t>(s.batch, count - i));
    const std::size_t used = static_cast<std::size_t>(B) * T;
    const std::span<int> tokens(trainer.tokens.data(), used);
    const std::span<int> targets(trainer.targets.data(), used);
    for (int b = 0; b < B; ++b) {
      const std::size_t row = static_cast<std::size_t>(b) * T;
      validation_window(tokens.subspan(row, T), targets.subspan(row, T), data, i + b, count, s.time,
                        s.eval_context);
    }
    sum += double{forward(*trainer.model, tokens, targets, B, s.time)} * B;
  }
  return sum / static_cast<double>(count);
}

double measure_step_seconds(Trainer& trainer, const TokenFile& data) {
  const Random before = trainer.data_random;
  std::vector<double> seconds;
  for (int i = 0; i < 4; ++i) {
    const auto start = std::chrono::steady_clock::now();
    accumulate_gradients(trainer, data);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (i > 0) seconds.push_back(took.count());  // the first one touches the memory
  }
  trainer.data_random = before;
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

}  // namespace tinygpt
