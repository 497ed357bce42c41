// How a training runs, whatever it trains: from the beginning or a checkpoint to the end.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/train_session.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/peak.h"

namespace tinygpt::cli {

namespace fs = std::filesystem;

namespace {

// The steps after which a text is shown: the first one early, the last one at the end, the others
// spread evenly.
bool is_sample_step(int step, int steps, int samples) {
  for (int i = 0; i < samples; ++i) {
    const int early = std::max(1, steps / 50);
    const int at = samples == 1
                       ? steps
                       : early + static_cast<int>(std::int64_t{steps - early} * i / (samples - 1));
    if (step == at) return true;
  }
  return false;
}

void log_line(const Session& s, TrainingLog& log, const nlohmann::json& line) {
  log.write(line);
  if (!s.options.json) return;
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

// One step, with what is due after it.
void take_step(Session& s, TrainingLog& log) {
  const TrainSettings& t = s.trainer.settings;
  const auto begin = Clock::now();
  const StepResult result = train_step(s.trainer, s.corpus.train);
  const double took = seconds_since(begin);
  const int step = s.trainer.step, taken = step - s.first_step;
  // The first step of a run touches its memory for the first time: it does not count for long.
  s.step_seconds = taken <= 2 ? took : 0.95 * s.step_seconds + 0.05 * took;
  const bool last = step == t.steps;
  const bool validated = step % t.eval_every == 0 || last;
  if (validated) {
    validate(s.trainer, s.corpus.validation, eval_starts(s.trainer, s.corpus.validation, last));
  }
  s.trainer.elapsed = s.elapsed_before + seconds_since(s.start);
  if (validated || step % s.options.log_every == 0) {
    log_line(s, log, describe_step(s, result, validated));
  }
  show_progress(s, result, validated);
}

// Takes the steps. Returns false where an interrupt ended it early; all is saved either way.
bool take_steps(Session& s, TrainingLog& log, const TrainOrigin& origin) {
  const int steps = s.trainer.settings.steps;
  int saved = s.trainer.step;
  const auto save = [&] {
    save_checkpoint(s.trainer, origin, s.options.out, s.corpus.tokenizer_json, s.product);
    saved = s.trainer.step;
  };
  while (s.trainer.step < steps && !was_interrupted()) {
    take_step(s, log);
    const int step = s.trainer.step;
    if (step == steps || step % s.options.checkpoint_every == 0) save();
    if (is_sample_step(step, steps, s.options.samples)) show_sample(s);
  }
  if (saved < s.trainer.step) save();
  s.status.clear();
  return s.trainer.step == steps;
}

// Fewer steps where this machine would take longer than the user allows. What is written and
// validated takes its part of the time, too: a forward pass costs a third of a step.
void fit_time(Session& s, Clock::time_point begun) {
  if (s.options.max_minutes <= 0) return;
  TrainSettings& t = s.trainer.settings;
  const double step = measure_step_seconds(s.trainer, s.corpus.train);
  const double token = step / (3.0 * t.batch * t.time * t.accumulate);
  const auto validation = [&](bool last) {
    return token * t.time *
           static_cast<double>(eval_starts(s.trainer, s.corpus.validation, last).size());
  };
  // Texts of about 150 tokens, each of which costs a pass over those before it: three samples, and
  // the stories of the review at the end.
  const double writing = token * 27 * 150 * 150 / 2;
  const double budget = 0.93 * 60 * s.options.max_minutes - seconds_since(begun);
  const double each = step * 1.02 + validation(false) / t.eval_every;
  const double steps = (budget - writing - validation(true)) / each;
  t.steps = std::min(t.steps, static_cast<int>(std::clamp(steps, 10.0, 1e9)));
  t.warmup = std::min(t.warmup, t.steps / 10);
}

void start(Session& s, const std::optional<fs::path>& checkpoint,
           const std::function<void()>& begin) {
  if (s.options.kernels.device == "cpu") {
    s.peak_flops = cpu::measure_peak_flops(s.options.kernels.threads);
  }
  if (checkpoint) {
    load_checkpoint(s.trainer, *checkpoint, s.product);
    s.first_step = s.trainer.step;
    s.elapsed_before = s.trainer.elapsed;
    publish_checkpoint(*checkpoint, s.options.out, s.product);
    return;
  }
  begin();
  fit_time(s, s.start);
  fs::create_directories(s.options.out);
  // The old model stays until the first checkpoint takes its place; its checkpoints must not be
  // mistaken for ours.
  if (s.options.overwrite) remove_checkpoints(s.options.out);
}

}  // namespace

std::optional<fs::path> find_checkpoint(const TrainOptions& o, const Product& product) {
  const auto checkpoint = newest_checkpoint(o.out);
  const bool has_model = checkpoint || fs::exists(fs::path(o.out) / product.weights) ||
                         fs::exists(fs::path(o.out) / product.config);
  check(!has_model || o.resume || o.overwrite, [&] {
    return fmt::format(
        "{}: there is {} already: --resume goes on with it, --overwrite replaces "
        "it, --out names another folder",
        o.out, product.config == Product().config ? "a model" : "an adapter");
  });
  if (!o.resume) return std::nullopt;
  // A log without a checkpoint: the training was stopped before its first one, and begins again.
  check(checkpoint || fs::exists(fs::path(o.out) / "log.jsonl"), [&] {
    return fmt::format("--resume: {} has no checkpoint to go on from: leave out --resume to start",
                       o.out);
  });
  return checkpoint;
}

void check_origin(const TrainOptions& o, const TrainOrigin& was, const TrainOrigin& is) {
  check(was.corpus == is.corpus, [&] {
    return fmt::format("--resume: {} is not the corpus that this training was started with",
                       o.data);
  });
  const bool same =
      was.device == is.device && was.kernels == is.kernels && was.threads == is.threads;
  if (!o.json && !same) {
    fmt::print(
        "note      device, kernels or threads differ: results will differ in the last digits\n");
  }
}

Gpt<float> make_models(const TrainOptions& o, const GptConfig& config, const Kernels& kernels,
                       Gpt<Bfloat16>& rounded) {
  const int B = o.settings.batch, T = o.settings.time;
  const bool bf16 = o.settings.dtype == "bf16";
  check(!bf16 || kernels.bf16_ops.linear_forward != nullptr,
        "--dtype bf16 needs kernels for it, which the processor has not (there, --matmul-precision "
        "bf16 rounds the products alone): --device cuda computes on a GPU, --device emulated runs "
        "the CUDA kernels here, slowly");
  std::int64_t bytes = 0;
  if (bf16) {
    bytes = bf16_training_bytes(config, kernels.ops, kernels.bf16_ops, B, T);
  } else {
    bytes = memory_ledger(config, kernels.ops, Purpose::training, B, T).total;
  }
  check_memory(kernels.memory, bytes, "this training",
               "choose a smaller --batch (and a larger --accumulate), --context or model");
  if (!bf16) return make_gpt(config, kernels.ops, kernels.memory, Purpose::training, B, T);
  rounded = make_gpt(config, kernels.bf16_ops, kernels.memory, Purpose::training, B, T);
  return make_gpt(config, kernels.ops, kernels.memory, Purpose::inference, 1,
                  config.context_length);
}

void run_session(Session& s, const std::optional<fs::path>& checkpoint, const TrainOrigin& origin,
                 const std::function<void()>& begin) {
  start(s, checkpoint, begin);
  catch_interrupts();
  print_plan(s);
  TrainingLog log(s.options.out, s.trainer.step);
  if (s.trainer.step == 0) log_line(s, log, describe(s));
  s.start = Clock::now();
  if (take_steps(s, log, origin)) {
    if (!s.trainer.validation_loss) {
      validate(s.trainer, s.corpus.validation, eval_starts(s.trainer, s.corpus.validation, true));
    }
    print_result(s);
    return;
  }
  fmt::print(
      stderr,
      "\nInterrupted after step {}; everything is saved. To go on, run the same command with "
      "--resume{}\n",
      s.trainer.step, s.options.overwrite ? " instead of --overwrite" : "");
  throw CLI::RuntimeError(130);
}

}  // namespace tinygpt::cli
