#include "tinygpt/cli/train_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "tinygpt/cli/checks.h"
#include "tinygpt/core/error.h"

namespace tinygpt::cli {
namespace {

bool is_given(const CLI::App& command, const std::string& option) {
  return command.get_option(option)->count() > 0;
}

void add_shape_options(CLI::App& command, ShapeOptions& o) {
  command.add_option("--config", o.config, "A named shape (tinygpt info lists them)")
      ->capture_default_str();
  command.add_option("--family", o.family, "gpt2 or llama, instead of the named shape's");
  command.add_option("--layers", o.layers, "Blocks");
  command.add_option("--heads", o.heads, "Query heads");
  command.add_option("--kv-heads", o.kv_heads, "Key-value heads (llama)");
  command.add_option("--width", o.width, "Channels of the residual stream");
  command.add_option("--hidden", o.hidden, "Channels inside the MLP");
  command.add_option("--context", o.context, "Tokens that the model sees at most");
  command.add_option("--init-std", o.init_std,
                     "Standard deviation of the first weights (default: 0.02)");
  command.add_option("--dropout", o.dropout, "Probability of dropping a value (default: 0)");
  command.add_flag("--untied", o.untied, "An output projection of its own");
}

void add_step_options(CLI::App& command, TrainSettings& s) {
  command.add_option("--batch", s.batch, "Sequences in a pass")->capture_default_str();
  command.add_option("--time", s.time, "Tokens in a sequence (default: the context)");
  command.add_option("--accumulate", s.accumulate, "Passes to a step")->capture_default_str();
  command.add_option("--steps", s.steps, "Steps of the optimizer")->capture_default_str();
  command.add_option("--lr", s.lr, "Learning rate after the warm-up")->capture_default_str();
  command.add_option("--min-lr", s.min_lr, "Learning rate at the end (default: a tenth of --lr)");
  command.add_option("--warmup", s.warmup,
                     "Steps of the warm-up (default: 100, at most a tenth of all)");
  command.add_option("--beta1", s.beta1, "AdamW")->capture_default_str();
  command.add_option("--beta2", s.beta2, "AdamW")->capture_default_str();
  command.add_option("--weight-decay", s.weight_decay, "AdamW, of matrices")->capture_default_str();
  command.add_option("--clip", s.clip, "Largest norm of the gradient (0: any)")
      ->capture_default_str();
  add_seed_option(command, s.seed, "Of initialisation, data order and dropout");
  command
      .add_option("--dtype", s.dtype,
                  "float, or bf16: half the memory traffic, on cuda and emulated; the weights that "
                  "are updated and saved stay in float")
      ->capture_default_str();
  command
      .add_option(
          "--matmul-precision", s.matmul_precision,
          "float, or bf16: on the cpu, linear layers multiply values rounded to bf16 and sum "
          "in float, up to twice as fast where the processor has instructions for it; all "
          "else stays float")
      ->capture_default_str();
  command.add_flag("--documents", s.documents,
                   "Windows begin where a document begins; validations judge whole documents");
  command.add_option("--eval-every", s.eval_every, "Steps between validations")
      ->capture_default_str();
  command.add_option("--eval-tokens", s.eval_tokens, "Tokens read by a validation on the way")
      ->capture_default_str();
  command
      .add_option("--last-eval-tokens", s.last_eval_tokens, "Tokens read by the last validation")
      ->capture_default_str();
  command
      .add_option("--eval-context", s.eval_context,
                  "Tokens that a counted one has before it at least")
      ->capture_default_str();
}

// Sets a field unless its option was given.
template <class Value>
void set(const CLI::App& command, const char* option, Value& field, Value value) {
  if (!is_given(command, option)) field = value;
}

// Three minutes on two cores: small enough to finish, large enough to write well-formed stories.
void apply_demo(const CLI::App& c, TrainOptions& o) {
  set(c, "--data", o.data, std::string("data/tinytales"));
  set(c, "--out", o.out, std::string("models/demo"));
  set(c, "--config", o.shape.config, std::string("demo"));
  set(c, "--documents", o.settings.documents, true);
  // Small batches: what is short here is steps. The model learns to carry a name from one sentence
  // to another after some thousands of them, however many stories each one reads.
  set(c, "--batch", o.settings.batch, 2);
  set(c, "--steps", o.settings.steps, 12000);
  set(c, "--lr", o.settings.lr, 3e-3f);
  set(c, "--min-lr", o.settings.min_lr, 3e-5f);
  set(c, "--warmup", o.settings.warmup, 60);
  set(c, "--beta2", o.settings.beta2, 0.995f);
  set(c, "--weight-decay", o.settings.weight_decay, 0.0f);
  set(c, "--eval-every", o.settings.eval_every, 500);
  set(c, "--checkpoint-every", o.checkpoint_every, 1000);
  set(c, "--max-minutes", o.max_minutes, 3.0);
}

// nanoGPT's setting for a CPU, characters of Shakespeare, with twice its learning rate, which takes
// the validation loss from 1.90 to 1.81.
void apply_shakespeare(const CLI::App& c, TrainOptions& o) {
  set(c, "--data", o.data, std::string("data/shakespeare"));
  set(c, "--out", o.out, std::string("models/shakespeare"));
  set(c, "--config", o.shape.config, std::string("nano-cpu"));
  set(c, "--batch", o.settings.batch, 12);
  set(c, "--steps", o.settings.steps, 2000);
  set(c, "--lr", o.settings.lr, 2e-3f);
  set(c, "--min-lr", o.settings.min_lr, 1e-4f);
  set(c, "--warmup", o.settings.warmup, 100);
  set(c, "--beta2", o.settings.beta2, 0.99f);
  set(c, "--weight-decay", o.settings.weight_decay, 0.1f);
}

// Takes a stored value, and throws where the command line gives another.
template <class Value>
void take(const CLI::App& command, const char* option, Value& field, const Value& stored) {
  check(!is_given(command, option) || field == stored, [&] {
    return fmt::format("--resume: this training was started with {} {}, not {}", option, stored,
                       field);
  });
  field = stored;
}

// The same, but another value may be given.
template <class Value>
void take_unless_given(const CLI::App& command, const char* option, Value& field,
                       const Value& stored) {
  if (!is_given(command, option)) field = stored;
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& o) {
  command.add_option("--preset", o.preset, "demo or shakespeare: settings that go together");
  command.add_option("--data", o.data, "A corpus that tinygpt data prepared")
      ->capture_default_str();
  command.add_option("--out", o.out, "The model's folder")->capture_default_str();
  add_shape_options(command, o.shape);
  add_session_options(command, o);
}

void add_session_options(CLI::App& command, TrainOptions& o) {
  add_step_options(command, o.settings);
  command.add_option("--checkpoint-every", o.checkpoint_every, "Steps between checkpoints")
      ->capture_default_str();
  command.add_option("--log-every", o.log_every, "Steps between lines of log.jsonl")
      ->capture_default_str();
  command
      .add_option("--max-minutes", o.max_minutes,
                  "Take fewer steps where this machine would need longer (0: no limit)")
      ->capture_default_str();
  command
      .add_option("--samples", o.samples, "Texts to show on the way: the first, middle ... last")
      ->capture_default_str();
  command.add_flag("--resume", o.resume, "Go on from the newest checkpoint");
  command.add_flag("--overwrite", o.overwrite, "Replace a model that is there");
  command.add_flag("--json", o.json, "Print what log.jsonl gets, and nothing else");
  add_kernel_options(command, o.kernels);
}

void complete_options(const CLI::App& command, TrainOptions& o) {
  check(o.preset.empty() || o.preset == "demo" || o.preset == "shakespeare", [&] {
    return fmt::format("--preset: there is no '{}'; there are: demo, shakespeare", o.preset);
  });
  if (o.preset == "demo") apply_demo(command, o);
  if (o.preset == "shakespeare") apply_shakespeare(command, o);
  TrainSettings& s = o.settings;
  set(command, "--min-lr", s.min_lr, std::min(s.min_lr, s.lr / 10));
  set(command, "--warmup", s.warmup, std::min(s.warmup, s.steps / 10));
  check(!is_given(command, "--time") || s.time >= 1, "--time: must be at least 1");
  check(o.checkpoint_every >= 1, "--checkpoint-every: must be at least 1");
  check(o.log_every >= 1, "--log-every: must be at least 1");
  check(o.samples >= 0 && o.samples <= 1000, "--samples: must be between 0 and 1000");
  check(o.max_minutes >= 0 && o.max_minutes < 1e6, "--max-minutes: must be at least 0");
  check(!(o.resume && o.overwrite), "--resume and --overwrite exclude each other");
}

GptConfig chosen_config(const ShapeOptions& o) {
  GptConfig config = named_config(o.config);
  if (o.family) {
    check(*o.family == "gpt2" || *o.family == "llama", [&] {
      return fmt::format("--family: there is no '{}'; there are: gpt2, llama", *o.family);
    });
    config.family = *o.family == "gpt2" ? Family::gpt2 : Family::llama;
  }
  if (o.width) config.hidden = 4 * std::clamp(*o.width, 0, 1 << 20);
  config.layers = o.layers.value_or(config.layers);
  config.width = o.width.value_or(config.width);
  config.hidden = o.hidden.value_or(config.hidden);
  config.heads = o.heads.value_or(config.heads);
  config.kv_heads = o.kv_heads.value_or(o.heads.value_or(config.kv_heads));
  config.context_length = o.context.value_or(config.context_length);
  if (o.untied) config.tied_head = false;
  config.dropout = o.dropout.value_or(config.dropout);
  config.init_std = o.init_std.value_or(config.init_std);
  return config;
}

void take_settings(const CLI::App& command, TrainOptions& o, const CheckpointInfo& stored) {
  const TrainSettings& was = stored.settings;
  TrainSettings& s = o.settings;
  take(command, "--batch", s.batch, was.batch);
  take(command, "--time", s.time, was.time);
  take(command, "--accumulate", s.accumulate, was.accumulate);
  take(command, "--lr", s.lr, was.lr);
  take(command, "--min-lr", s.min_lr, was.min_lr);
  take(command, "--warmup", s.warmup, was.warmup);
  take(command, "--beta1", s.beta1, was.beta1);
  take(command, "--beta2", s.beta2, was.beta2);
  take(command, "--weight-decay", s.weight_decay, was.weight_decay);
  take(command, "--clip", s.clip, was.clip);
  take(command, "--seed", s.seed, was.seed);
  take(command, "--documents", s.documents, was.documents);
  take(command, "--dtype", s.dtype, was.dtype);
  take(command, "--matmul-precision", s.matmul_precision, was.matmul_precision);
  // With --max-minutes the machine's speed had the last word on the number of steps.
  if (o.max_minutes > 0) s.steps = was.steps;
  take_unless_given(command, "--steps", s.steps, was.steps);
  check(s.steps >= stored.step, [&] {
    return fmt::format("--steps is {}, and {} are taken already", s.steps, stored.step);
  });
  take_unless_given(command, "--eval-every", s.eval_every, was.eval_every);
  take_unless_given(command, "--eval-tokens", s.eval_tokens, was.eval_tokens);
  take_unless_given(command, "--last-eval-tokens", s.last_eval_tokens, was.last_eval_tokens);
  take_unless_given(command, "--eval-context", s.eval_context, was.eval_context);
  take_unless_given(command, "--data", o.data, stored.origin.data);
  take_unless_given(command, "--device", o.kernels.device, stored.origin.device);
  // Another device has other kernels.
  if (o.kernels.device == stored.origin.device) {
    take_unless_given(command, "--kernels", o.kernels.kernels, stored.origin.kernels);
  }
  take_unless_given(command, "--threads", o.kernels.threads, stored.origin.threads);
}

void check_shape(const CLI::App& command, const TrainOptions& o, const GptConfig& stored) {
  ShapeOptions shape = o.shape;
  const GptConfig named = named_config(shape.config);
  const bool is_named = is_given(command, "--config");
  const auto same = [](const char* option, auto given, auto was) {
    check(given == was, [&] {
      return fmt::format("--resume: this training was started with {} {}, not {}", option, was,
                         given);
    });
  };
  const auto field = [&](const char* option, const std::optional<int>& given, int in_named,
                         int was) { same(option, given.value_or(is_named ? in_named : was), was); };
  const auto name = [](Family family) -> std::string {
    return family == Family::gpt2 ? "gpt2" : "llama";
  };
  same("--family", shape.family.value_or(name(is_named ? named.family : stored.family)),
       name(stored.family));
  field("--layers", shape.layers, named.layers, stored.layers);
  field("--heads", shape.heads, named.heads, stored.heads);
  field("--kv-heads", shape.kv_heads, shape.heads.value_or(named.kv_heads), stored.kv_heads);
  field("--width", shape.width, named.width, stored.width);
  field("--hidden", shape.hidden, shape.width ? 4 * *shape.width : named.hidden, stored.hidden);
  field("--context", shape.context, named.context_length, stored.context_length);
  same("--dropout", shape.dropout.value_or(stored.dropout), stored.dropout);
  same("--init-std", shape.init_std.value_or(stored.init_std), stored.init_std);
  check(!shape.untied || !stored.tied_head, "--resume: this training was started without --untied");
}

}  // namespace tinygpt::cli
