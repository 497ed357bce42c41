// tinygpt train: a model from a corpus.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/cli/train_options.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/cpu/peak.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/io/corpus_json.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"
#include "tinygpt/train/checkpoint.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What is read from the corpus's folder.
struct Corpus {
  explicit Corpus(const fs::path& folder)
      : info(load_corpus_info(folder)),
        tokenizer_json(read_file(folder / "tokenizer.json", 1 << 28)),
        tokenizer(parse_tokenizer_json(tokenizer_json, (folder / "tokenizer.json").string())),
        train(folder / "train.npy", vocab_size(tokenizer)),
        validation(folder / "validation.npy", vocab_size(tokenizer)) {}
  // From nats per token to nats per byte.
  double per_byte(double nats_per_token) const {
    return nats_per_token * static_cast<double>(info.validation.tokens) /
           static_cast<double>(info.validation.bytes);
  }
  CorpusInfo info;
  std::string tokenizer_json;
  Tokenizer tokenizer;
  TokenFile train, validation;
};

struct Session {
  TrainOptions& options;
  Corpus& corpus;
  Gpt<float>& model;
  Trainer trainer;
  double peak_flops = 0;
  int first_step = 0;  // of this run: not 0 when it was resumed
  Clock::time_point start = Clock::now();
  std::optional<double> validation_loss{};  // nats per token
  StatusLine status{};
};

int end_token(const Corpus& corpus) {
  const SpecialToken* end = find_special(corpus.tokenizer, kEndOfText);
  return end != nullptr ? end->id : -1;
}

std::string describe_validation(const Session& s) {
  if (!s.validation_loss) return "";
  std::string text = fmt::format("  validation {:.4f}", *s.validation_loss);
  if (s.corpus.info.validation.floor_nats_per_byte) {
    text += fmt::format(" = {:.4f} nats/byte, floor {:.4f}", s.corpus.per_byte(*s.validation_loss),
                        *s.corpus.info.validation.floor_nats_per_byte);
  }
  return text;
}

double tokens_per_second(const Session& s) {
  const TrainSettings& t = s.trainer.settings;
  const double tokens = static_cast<double>(t.batch) * t.time * t.accumulate;
  return tokens * (s.trainer.step - s.first_step) / std::max(seconds_since(s.start), 1e-9);
}

std::string progress_line(const Session& s, const StepResult& result) {
  const int steps = s.trainer.settings.steps;
  const double rate = tokens_per_second(s);
  const double left =
      seconds_since(s.start) / (s.trainer.step - s.first_step) * (steps - s.trainer.step);
  const double flops = flop_ledger(s.model.config, s.trainer.settings.time).step * rate;
  return fmt::format("step {}/{}  loss {:.4f}{}  {} tokens/s, {:.0f}% of peak  {} left",
                     s.trainer.step, steps, result.loss, describe_validation(s), short_number(rate),
                     100 * flops / s.peak_flops, duration(left));
}

void log_step(TrainingLog& log, const Session& s, const StepResult& result, bool validated) {
  nlohmann::json line = {{"step", s.trainer.step},
                         {"loss", result.loss},
                         {"lr", result.lr},
                         {"grad_norm", result.grad_norm},
                         {"tokens_per_second", std::round(tokens_per_second(s))},
                         {"elapsed_s", std::round(seconds_since(s.start) * 100) / 100}};
  if (validated) {
    line["validation_loss"] = *s.validation_loss;
    line["validation_nats_per_byte"] = s.corpus.per_byte(*s.validation_loss);
  }
  log.write(line.dump());
}

std::string write_text(Session& s, std::uint64_t seed, int max_tokens) {
  const int end = end_token(s.corpus);
  const std::vector<int> prompt =
      end >= 0 ? std::vector<int>{end} : encode(s.corpus.tokenizer, "\n");
  GenerateSettings settings;
  settings.sampling.temperature = 1.0f;  // as learned: the corpus's own variety
  settings.seed = seed;
  settings.max_tokens = max_tokens;
  settings.stop_token = end;
  const std::vector<int> tokens = generate(s.model, prompt, settings);
  return decode(s.corpus.tokenizer, tokens);
}

void show_sample(Session& s) {
  const std::string text = replace_invalid_utf8(write_text(s, 7, 200));
  s.status.keep("");
  s.status.keep(bold(fmt::format("What it writes after step {}:", s.trainer.step)));
  const auto width = static_cast<std::size_t>(std::min(terminal_width(), 100));
  s.status.keep(wrapped(text, width, "  "));
}

// The steps after which a text is shown: the first one early, the last one at the end, the others
// spread evenly.
bool is_sample_step(int step, int steps, int samples) {
  for (int i = 0; i < samples; ++i) {
    const int early = std::max(1, steps / 50);
    const int at = samples == 1 ? steps : early + (steps - early) * i / (samples - 1);
    if (step == at) return true;
  }
  return false;
}

void validate_now(Session& s, bool whole) {
  const std::int64_t windows =
      whole ? std::numeric_limits<std::int64_t>::max() : s.trainer.settings.eval_windows;
  s.validation_loss = validate(s.trainer, s.corpus.validation, windows);
}

// Takes the steps. Returns false where an interrupt ended it early; all is saved either way.
bool train_steps(Session& s, TrainingLog& log) {
  const int steps = s.trainer.settings.steps;
  const TrainSettings& t = s.trainer.settings;
  int saved = s.trainer.step;
  while (s.trainer.step < steps && !was_interrupted()) {
    const StepResult result = train_step(s.trainer, s.corpus.train);
    const int step = s.trainer.step;
    const bool last = step == steps;
    const bool validated = step % t.eval_every == 0 || last;
    if (validated) validate_now(s, last);
    if (validated || step % s.options.log_every == 0) log_step(log, s, result, validated);
    if (validated) s.status.keep(progress_line(s, result));
    else s.status.show(progress_line(s, result));
    if (last || step % s.options.checkpoint_every == 0) {
      save_checkpoint(s.trainer, s.options.out, s.corpus.tokenizer_json);
      saved = step;
    }
    if (is_sample_step(step, steps, s.options.samples)) show_sample(s);
  }
  if (saved < s.trainer.step) {
    save_checkpoint(s.trainer, s.options.out, s.corpus.tokenizer_json);
  }
  s.status.clear();
  return s.trainer.step == steps;
}

// For a corpus whose grammar is known: how many of the stories that the model writes are right, and
// how many of these it has not read.
void review(Session& s) {
  constexpr int kStories = 24;
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "datasets/tinytales.grammar");
  std::vector<std::string> stories;
  for (int i = 0; i < kStories && !was_interrupted(); ++i) {
    s.status.show(fmt::format("writing {} stories to review: {}", kStories, i + 1));
    stories.push_back(write_text(s, 100 + static_cast<std::uint64_t>(i), 300));
  }
  const std::vector<std::string> read =
      draw_stories(grammar, s.corpus.info.seed, 0, s.corpus.info.train.documents);
  const StoryReview r = review_stories(grammar, stories, {read.begin(), read.end()});
  s.status.keep(fmt::format(
      "stories      {} of {} are well-formed to the last fact; {} of these are not in the training "
      "text",
      r.well_formed, r.stories, r.novel));
}

// Whether the corpus was drawn from the grammar that is compiled in.
bool has_known_grammar(const Corpus& corpus) {
  return corpus.info.name == "tinytales" &&
         corpus.info.made_from.find(sha256(tinytales_grammar_text())) != std::string::npos;
}

void print_result(Session& s) {
  const double per_byte = s.corpus.per_byte(*s.validation_loss);
  fmt::print("\n{}\n", bold("Trained."));
  fmt::print("validation   {:.4f} nats per token, {:.4f} per byte", *s.validation_loss, per_byte);
  if (const auto floor = s.corpus.info.validation.floor_nats_per_byte) {
    fmt::print("; the floor is {:.4f}: {:.1f}% above it", *floor, 100 * (per_byte / *floor - 1));
  }
  fmt::print("\nspeed        {} tokens/s, {} in all\n", short_number(tokens_per_second(s)),
             duration(seconds_since(s.start)));
  fmt::print("model        {}\n", s.options.out);
  if (has_known_grammar(s.corpus)) review(s);
}

void print_plan(const Session& s) {
  const GptConfig& c = s.model.config;
  const TrainSettings& t = s.trainer.settings;
  const MemoryLedger memory =
      memory_ledger(c, s.model.ops, Purpose::training, s.model.max_batch, s.model.max_time);
  fmt::print("corpus       {}: {} tokens to train on, {} to validate\n", s.corpus.info.name,
             short_number(static_cast<double>(s.corpus.train.size())),
             short_number(static_cast<double>(s.corpus.validation.size())));
  fmt::print(
      "model        {}: {} layers, {} heads, width {}, vocabulary {}: {} parameters, {:.0f} MB\n",
      c.family == Family::gpt2 ? "gpt2" : "llama", c.layers, c.heads, c.width, c.vocab_size,
      short_number(static_cast<double>(parameter_ledger(c).total)),
      static_cast<double>(memory.total) * 1e-6);
  fmt::print(
      "training     {} steps of {} x {} tokens, kernels {}, {} threads, peak {:.0f} GFLOP/s\n",
      t.steps, t.batch * t.accumulate, t.time, s.options.kernels.kernels, s.options.kernels.threads,
      s.peak_flops * 1e-9);
  if (s.first_step > 0) fmt::print("resumed      after step {}\n", s.first_step);
  std::fflush(stdout);
}

// What may differ between a run and its continuation is not part of TrainSettings; these must
// agree.
void check_same(const TrainSettings& stored, const TrainSettings& given) {
  const auto same = [](const char* option, double was, double is) {
    check(was == is, [&] {
      return fmt::format(
          "--resume: the checkpoint was made with {} {}, not {}: give the same options "
          "as before",
          option, was, is);
    });
  };
  same("--batch", stored.batch, given.batch);
  same("--time", stored.time, given.time);
  same("--accumulate", stored.accumulate, given.accumulate);
  same("--lr", stored.lr, given.lr);
  same("--min-lr", stored.min_lr, given.min_lr);
  same("--warmup", stored.warmup, given.warmup);
  same("--beta1", stored.beta1, given.beta1);
  same("--beta2", stored.beta2, given.beta2);
  same("--weight-decay", stored.weight_decay, given.weight_decay);
  same("--clip", stored.clip, given.clip);
  same("--seed", static_cast<double>(stored.seed), static_cast<double>(given.seed));
}

// Fewer steps where this machine would take longer than the user allows. Validation, samples and
// checkpoints take their part of the time, too.
void fit_time(Session& s) {
  if (s.options.max_minutes <= 0) return;
  const double step = measure_step_seconds(s.trainer, s.corpus.train);
  const double training = 0.88 * 60 * s.options.max_minutes;
  const int steps = static_cast<int>(std::clamp(training / step, 10.0, 1e9));
  TrainSettings& t = s.trainer.settings;
  t.steps = std::min(t.steps, steps);
  t.warmup = std::min(t.warmup, t.steps / 10);
}

void check_folder(const TrainOptions& o) {
  check(o.checkpoint_every >= 1, "--checkpoint-every: must be at least 1");
  check(o.log_every >= 1, "--log-every: must be at least 1");
  check(o.samples >= 0, "--samples: must be at least 0");
  check(o.max_minutes >= 0 && o.max_minutes < 1e6, "--max-minutes: must be at least 0");
  check(!(o.resume && o.overwrite), "--resume and --overwrite exclude each other");
  const bool has_model =
      fs::exists(fs::path(o.out) / "model.safetensors") || newest_checkpoint(o.out).has_value();
  check(!has_model || o.resume || o.overwrite, [&] {
    return fmt::format(
        "{}: there is a model already: --resume goes on with it, --overwrite replaces "
        "it, --out names another folder",
        o.out);
  });
}

// Takes up the newest checkpoint where --resume asks for it; otherwise starts anew.
void prepare(Session& s, const std::optional<fs::path>& checkpoint) {
  if (checkpoint) {
    load_checkpoint(s.trainer, *checkpoint);
    s.first_step = s.trainer.step;
    return;
  }
  init_parameters(s.model, s.trainer.settings.seed);
  fit_time(s);
  // The old model stays until the first checkpoint takes its place; its checkpoints must not be
  // mistaken for ours.
  if (s.options.overwrite) fs::remove_all(fs::path(s.options.out) / "checkpoints");
}

void run(const CLI::App& command, TrainOptions& o) {
  apply_preset(command, o);
  check_folder(o);
  const Ops<float> ops = choose_kernels(o.kernels);
  Corpus corpus(o.data);
  std::optional<fs::path> checkpoint;
  if (o.resume) checkpoint = newest_checkpoint(o.out);
  GptConfig config = checkpoint ? read_model_config(*checkpoint) : chosen_config(o);
  if (checkpoint) config.dropout = o.dropout;
  if (!checkpoint) config.vocab_size = vocab_size(corpus.tokenizer);
  check(config.vocab_size == vocab_size(corpus.tokenizer), [&] {
    return fmt::format("{}: its tokenizer has {} tokens, the model in {} has {}", o.data,
                       vocab_size(corpus.tokenizer), o.out, config.vocab_size);
  });
  config.bos_token = config.eos_token = end_token(corpus);
  check_config(config);
  if (o.settings.time == 0) o.settings.time = config.context_length;
  if (checkpoint) {
    const TrainSettings stored = load_settings(*checkpoint);
    if (command.get_option("--steps")->count() == 0 || o.max_minutes > 0) {
      o.settings.steps = stored.steps;
    }
    if (o.max_minutes > 0) o.settings.warmup = stored.warmup;
    check_same(stored, o.settings);
  }
  Gpt<float> model =
      make_gpt(config, ops, host_memory(), Purpose::training, o.settings.batch, o.settings.time);
  Session s{o, corpus, model, make_trainer(model, o.settings)};
  s.peak_flops = cpu::measure_peak_flops(o.kernels.threads);
  prepare(s, checkpoint);
  fs::create_directories(o.out);
  catch_interrupts();
  print_plan(s);
  s.start = Clock::now();
  TrainingLog log(o.out, s.trainer.step);
  if (train_steps(s, log)) {
    if (!s.validation_loss) validate_now(s, true);
    print_result(s);
    return;
  }
  fmt::print(
      "\nInterrupted after step {}; everything is saved. To go on, run the same command with "
      "--resume{}\n",
      s.trainer.step, o.overwrite ? " instead of --overwrite" : "");
  std::fflush(stdout);
  throw CLI::RuntimeError(130);
}

}  // namespace

void add_train_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "Train a model on a prepared corpus");
  const auto options = std::make_shared<TrainOptions>();
  options->settings.time = 0;  // the model's context
  add_train_options(*command, *options);
  command->callback([command, options] { run(*command, *options); });
}

}  // namespace tinygpt::cli
