#include "tinygpt/cli/train_options.h"

#include <fmt/format.h>

#include "tinygpt/core/error.h"

namespace tinygpt::cli {
namespace {

void add_shape_options(CLI::App& command, TrainOptions& o) {
  command.add_option("--config", o.config, "A named shape (tinygpt info lists them)")
      ->capture_default_str();
  command.add_option("--family", o.family, "gpt2 or llama, instead of the named shape's");
  command.add_option("--layers", o.layers, "Blocks");
  command.add_option("--heads", o.heads, "Query heads");
  command.add_option("--kv-heads", o.kv_heads, "Key-value heads (llama)");
  command.add_option("--width", o.width, "Channels of the residual stream");
  command.add_option("--hidden", o.hidden, "Channels inside the MLP");
  command.add_option("--context", o.context, "Tokens that the model sees at most");
  command.add_flag("--untied", o.untied, "An output projection of its own");
  command.add_option("--dropout", o.dropout, "Probability")->capture_default_str();
}

void add_step_options(CLI::App& command, TrainSettings& s) {
  command.add_option("--batch", s.batch, "Sequences in a pass")->capture_default_str();
  command.add_option("--time", s.time, "Tokens in a sequence (default: the context)");
  command.add_option("--accumulate", s.accumulate, "Passes to a step")->capture_default_str();
  command.add_option("--steps", s.steps, "Steps of the optimizer")->capture_default_str();
  command.add_option("--lr", s.lr, "Learning rate after the warm-up")->capture_default_str();
  command.add_option("--min-lr", s.min_lr, "Learning rate at the end")->capture_default_str();
  command.add_option("--warmup", s.warmup, "Steps of the warm-up")->capture_default_str();
  command.add_option("--beta1", s.beta1, "AdamW")->capture_default_str();
  command.add_option("--beta2", s.beta2, "AdamW")->capture_default_str();
  command.add_option("--weight-decay", s.weight_decay, "AdamW, of matrices")->capture_default_str();
  command.add_option("--clip", s.clip, "Largest norm of the gradient (0: any)")
      ->capture_default_str();
  command.add_option("--seed", s.seed, "Of initialisation, data order and dropout")
      ->capture_default_str();
  command.add_option("--eval-every", s.eval_every, "Steps between validations")
      ->capture_default_str();
  command.add_option("--eval-windows", s.eval_windows, "Windows of a validation on the way")
      ->capture_default_str();
  command
      .add_option("--eval-context", s.eval_context,
                  "Tokens that a counted one has before it at least")
      ->capture_default_str();
}

// Sets a field unless its option was given.
template <class Value>
void set(const CLI::App& command, const char* option, Value& field, Value value) {
  if (command.get_option(option)->count() == 0) field = value;
}

// Three minutes on two cores: small enough to finish, large enough to write well-formed stories.
void apply_demo(const CLI::App& c, TrainOptions& o) {
  set(c, "--data", o.data, std::string("data/tinytales"));
  set(c, "--out", o.out, std::string("models/demo"));
  set(c, "--config", o.config, std::string("demo"));
  set(c, "--batch", o.settings.batch, 8);
  set(c, "--steps", o.settings.steps, 20000);
  set(c, "--lr", o.settings.lr, 3e-3f);
  set(c, "--min-lr", o.settings.min_lr, 3e-5f);
  set(c, "--warmup", o.settings.warmup, 60);
  set(c, "--beta2", o.settings.beta2, 0.99f);
  set(c, "--eval-every", o.settings.eval_every, 200);
  set(c, "--eval-windows", o.settings.eval_windows, 64);
  set(c, "--eval-context", o.settings.eval_context, 128);
  set(c, "--max-minutes", o.max_minutes, 2.5);
}

// nanoGPT's setting for a CPU: characters of Shakespeare.
void apply_shakespeare(const CLI::App& c, TrainOptions& o) {
  set(c, "--data", o.data, std::string("data/shakespeare"));
  set(c, "--out", o.out, std::string("models/shakespeare"));
  set(c, "--config", o.config, std::string("nano-cpu"));
  set(c, "--batch", o.settings.batch, 12);
  set(c, "--steps", o.settings.steps, 2000);
  set(c, "--lr", o.settings.lr, 1e-3f);
  set(c, "--min-lr", o.settings.min_lr, 1e-4f);
  set(c, "--warmup", o.settings.warmup, 100);
  set(c, "--beta2", o.settings.beta2, 0.99f);
  set(c, "--weight-decay", o.settings.weight_decay, 0.1f);
  set(c, "--eval-every", o.settings.eval_every, 250);
  set(c, "--eval-windows", o.settings.eval_windows, 240);
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& o) {
  command.add_option("--preset", o.preset, "demo or shakespeare: settings that go together");
  command.add_option("--data", o.data, "A corpus that tinygpt data prepared")
      ->capture_default_str();
  command.add_option("--out", o.out, "The model's folder")->capture_default_str();
  add_shape_options(command, o);
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
  add_kernel_options(command, o.kernels);
}

void apply_preset(const CLI::App& command, TrainOptions& options) {
  if (options.preset.empty()) return;
  if (options.preset == "demo") apply_demo(command, options);
  else if (options.preset == "shakespeare") apply_shakespeare(command, options);
  else {
    throw Error(
        fmt::format("--preset: there is no '{}'; there are: demo, shakespeare", options.preset));
  }
}

GptConfig chosen_config(const TrainOptions& o) {
  GptConfig config = named_config(o.config);
  if (!o.family.empty()) {
    check(o.family == "gpt2" || o.family == "llama", [&] {
      return fmt::format("--family: there is no '{}'; there are: gpt2, llama", o.family);
    });
    config.family = o.family == "gpt2" ? Family::gpt2 : Family::llama;
  }
  const auto change = [](int& field, int value) {
    if (value != 0) field = value;
  };
  change(config.layers, o.layers);
  change(config.heads, o.heads);
  config.kv_heads = o.kv_heads != 0 ? o.kv_heads : (o.heads != 0 ? o.heads : config.kv_heads);
  if (o.width != 0) config.hidden = 4 * o.width;
  change(config.width, o.width);
  change(config.hidden, o.hidden);
  change(config.context_length, o.context);
  if (o.untied) config.tied_head = false;
  config.dropout = o.dropout;
  return config;
}

}  // namespace tinygpt::cli
