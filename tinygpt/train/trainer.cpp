#include "tinygpt/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>

#include "solutions/13-training-loop/schedule.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/text/batches.h"

namespace tinygpt {
namespace {

DeviceBuffer zeroed(const Memory& memory, std::int64_t floats) {
  DeviceBuffer buffer(memory, floats * std::int64_t{sizeof(float)});
  memory.zero(buffer.data(), static_cast<std::size_t>(buffer.bytes()));
  return buffer;
}

float* floats(const DeviceBuffer& buffer) { return static_cast<float*>(buffer.data()); }

// use(model) with the one that passes are computed on.
template <class Use>
auto with_model(const Trainer& trainer, Use&& use) {
  return trainer.rounded != nullptr ? use(*trainer.rounded) : use(*trainer.model);
}

// Every weight of the copy is the nearest bf16 to the model's: also after each step of AdamW, which
// writes both.
void update_rounded(Trainer& trainer) {
  if (trainer.rounded == nullptr || trainer.rounded_is_current) return;
  const Gpt<float>& model = *trainer.model;
  std::vector<float> values(static_cast<std::size_t>(model.layout.total));
  model.memory.copy_out(values.data(), model.params(), values.size() * sizeof(float));
  std::vector<Bfloat16> rounded;
  rounded.reserve(values.size());
  for (const float value : values) rounded.emplace_back(value);
  model.memory.copy_in(trainer.rounded->params(), rounded.data(),
                       rounded.size() * sizeof(Bfloat16));
  trainer.rounded_is_current = true;
}

// AdamW, clipping on the way where the table can: then clip_by_norm has left the gradient alone.
template <class Real>
void update(const Trainer& trainer, const Ops<Real>& ops, Real* param, float* master, float* m,
            float* v, const float* grad, std::int64_t n, const AdamwSettings& settings) {
  if (ops.adamw_clipped_step != nullptr) {
    ops.adamw_clipped_step(param, master, m, v, grad, floats(trainer.results),
                           trainer.settings.clip, n, settings);
  } else {
    ops.adamw_step(param, master, m, v, grad, n, settings);
  }
}

// An adapter's matrices all decay alike, and towards zero: towards the model as it was.
void adapt_adamw(const Trainer& trainer, AdamwSettings settings) {
  const Trained<float> adapter = trained_part(*trainer.model);
  settings.weight_decay = trainer.settings.weight_decay;
  update<float>(trainer, trainer.model->ops, adapter.values, nullptr, floats(trainer.m),
                floats(trainer.v), adapter.gradients, adapter.total, settings);
}

// One call for each run of neighbouring parameters that decay alike. The padding between them is
// zero, has no gradient, and stays zero.
template <class Real>
void apply_adamw(const Trainer& trainer, const Gpt<Real>& model, float* master,
                 AdamwSettings settings) {
  const std::vector<Parameter>& all = model.layout.parameters;
  for (std::size_t first = 0; first < all.size();) {
    std::size_t last = first + 1;
    while (last < all.size() && all[last].decay == all[first].decay) ++last;
    const std::int64_t begin = all[first].offset;
    const std::int64_t end = last < all.size() ? all[last].offset : model.layout.total;
    settings.weight_decay = all[first].decay ? trainer.settings.weight_decay : 0.0f;
    update<Real>(trainer, model.ops, model.params() + begin,
                 master != nullptr ? master + begin : nullptr, floats(trainer.m) + begin,
                 floats(trainer.v) + begin, model.grads() + begin, end - begin, settings);
    first = last;
  }
}

void apply_adamw(const Trainer& trainer, const AdamwSettings& settings) {
  if (trainer.rounded != nullptr) {
    apply_adamw(trainer, *trainer.rounded, trainer.model->params(), settings);
  } else if (trainer.model->purpose == Purpose::adapting) {
    adapt_adamw(trainer, settings);
  } else {
    apply_adamw<float>(trainer, *trainer.model, nullptr, settings);
  }
}

// Clips the gradient by its norm, unless the update does so (adamw_clipped_step). One that is not
// finite is left as it is, for the host to find.
void clip_by_norm(Trainer& trainer) {
  with_model(trainer, [&](const auto& model) {
    float* norm = floats(trainer.results);
    const auto trained = trained_part(model);
    model.ops.gradient_norm(norm, trained.gradients, floats(trainer.scratch), trained.total);
    if (trainer.settings.clip > 0 && model.ops.adamw_clipped_step == nullptr) {
      model.ops.clip_gradients(trained.gradients, norm, trained.total, trainer.settings.clip);
    }
  });
}

// Waits for the passes, and for the norm where it was asked for: the one copy of a step. It comes
// before the update, which a loss that is not finite must not reach; while the device updates, the
// host puts the next batch together.
StepResult copy_results(Trainer& trainer) {
  std::vector<float>& host = trainer.results_on_host;
  trainer.model->memory.copy_out(host.data(), trainer.results.data(), host.size() * sizeof(float));
  const std::span<const float> all(host);
  const std::size_t N = trainer.tokens.size();
  StepResult result;
  for (std::size_t i = 0; i < trainer.counted.size(); ++i) {
    result.loss += mean_loss(all.subspan(Trainer::kLosses + i * N, N), trainer.counted[i]);
  }
  result.loss /= trainer.settings.accumulate;
  result.grad_norm = host[0];
  return result;
}

int boundary_of(const Trainer& trainer) {
  return trainer.settings.documents ? trainer.model->config.eos_token : kAnywhere;
}

ValidationPlan validation_plan(const Trainer& trainer) {
  return {trainer.settings.time, trainer.settings.eval_context, boundary_of(trainer)};
}

// Adds the gradients of settings.accumulate batches. Their losses stay on the device.
void accumulate_gradients(Trainer& trainer, const TokenFile& data) {
  const TrainSettings& s = trainer.settings;
  update_rounded(trainer);
  with_model(trainer, [](auto& model) { start_gradients(model); });
  for (int i = 0; i < s.accumulate; ++i) {
    next_batch(trainer.tokens, trainer.targets, data, s.batch, s.time, boundary_of(trainer),
               trainer.data_random);
    ForwardOptions options;
    options.training = true;
    options.dropout_seed = s.seed;
    options.dropout_step =
        static_cast<std::uint64_t>(std::int64_t{trainer.step} * s.accumulate + i);
    options.losses = floats(trainer.results) + Trainer::kLosses +
                     std::int64_t{i} * static_cast<std::int64_t>(trainer.tokens.size());
    with_model(trainer, [&](auto& model) {
      forward(model, trainer.tokens, trainer.targets, s.batch, s.time, options);
      trainer.counted[static_cast<std::size_t>(i)] = model.targets;
      backward(model, 1.0f / static_cast<float>(s.accumulate));
    });
  }
}

}  // namespace

Trainer make_trainer(Gpt<float>& model, const TrainSettings& settings, Gpt<Bfloat16>* rounded) {
  check_settings(settings, model.config);
  Trainer trainer;
  trainer.model = &model;
  trainer.rounded = rounded;
  trainer.settings = settings;
  const std::int64_t n = trained_part(model).total;
  trainer.m = zeroed(model.memory, n);
  trainer.v = zeroed(model.memory, n);
  trainer.scratch = zeroed(model.memory, model.ops.gradient_norm_scratch_size(n));
  trainer.data_random = {settings.seed, 0, kDataStream};
  const auto size =
      static_cast<std::size_t>(settings.batch) * static_cast<std::size_t>(settings.time);
  trainer.tokens.resize(size);
  trainer.targets.resize(size);
  const auto passes = static_cast<std::size_t>(settings.accumulate);
  trainer.counted.resize(passes);
  trainer.results_on_host.resize(Trainer::kLosses + passes * size);
  trainer.results = zeroed(model.memory, static_cast<std::int64_t>(trainer.results_on_host.size()));
  return trainer;
}

void check_length(const TokenFile& file, int time) {
  check(file.size() > time, [&] {
    return fmt::format(
        "{}: {} tokens, fewer than the {} that one window needs; choose a shorter --context or a "
        "longer text",
        file.path().string(), file.size(), time + 1);
  });
}

StepResult train_step(Trainer& trainer, const TokenFile& data) {
  const TrainSettings& s = trainer.settings;
  accumulate_gradients(trainer, data);
  clip_by_norm(trainer);
  StepResult result = copy_results(trainer);
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

std::vector<std::int64_t> eval_starts(const Trainer& trainer, const TokenFile& data, bool last) {
  const TrainSettings& s = trainer.settings;
  const std::int64_t tokens = last ? s.last_eval_tokens : s.eval_tokens;
  return validation_starts(data, validation_plan(trainer),
                           std::max<std::int64_t>(tokens / s.time, 1));
}

double validate(Trainer& trainer, const TokenFile& data, const std::vector<std::int64_t>& starts,
                const std::function<void()>& before_batch) {
  const TrainSettings& s = trainer.settings;
  const ValidationPlan plan = validation_plan(trainer);
  const auto T = static_cast<std::size_t>(s.time);
  update_rounded(trainer);
  double sum = 0;
  std::int64_t all_counted = 0;
  for (std::size_t first = 0; first < starts.size(); first += static_cast<std::size_t>(s.batch)) {
    if (before_batch) before_batch();
    const std::size_t B = std::min(static_cast<std::size_t>(s.batch), starts.size() - first);
    const std::span<int> tokens(trainer.tokens.data(), B * T);
    const std::span<int> targets(trainer.targets.data(), B * T);
    int counted = 0;
    for (std::size_t b = 0; b < B; ++b) {
      counted += validation_window(tokens.subspan(b * T, T), targets.subspan(b * T, T), data,
                                   starts[first + b], plan);
    }
    sum += counted * with_model(trainer, [&](auto& model) {
             return double{forward(model, tokens, targets, static_cast<int>(B), s.time)};
           });
    all_counted += counted;
  }
  trainer.validation_loss = sum / static_cast<double>(all_counted);
  return *trainer.validation_loss;
}

double measure_step_seconds(Trainer& trainer, const TokenFile& data, double seconds) {
  using Clock = std::chrono::steady_clock;
  const Random before = trainer.data_random;
  const auto pass = [&] {
    accumulate_gradients(trainer, data);
    copy_results(trainer);  // waits for the device
  };
  pass();  // the first one touches the memory
  std::vector<double> took;
  const auto start = Clock::now();
  while (took.size() < 3 || Clock::now() - start < std::chrono::duration<double>(seconds)) {
    const auto begin = Clock::now();
    pass();
    took.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  trainer.data_random = before;
  std::sort(took.begin(), took.end());
  return took[took.size() / 2];
}

}  // namespace tinygpt
