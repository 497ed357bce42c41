// tinygpt train: a model from a corpus.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/train_session.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/tinytales.h"

namespace tinygpt::cli {

namespace fs = std::filesystem;

Corpus::Corpus(const fs::path& folder)
    : info(load_corpus_info(folder)),
      tokenizer_json(read_file(folder / "tokenizer.json", 1 << 28)),
      tokenizer(parse_tokenizer_json(tokenizer_json, (folder / "tokenizer.json").string())),
      train(folder / "train.npy", vocab_size(tokenizer)),
      validation(folder / "validation.npy", vocab_size(tokenizer)) {}

double Corpus::per_byte(double nats_per_token) const {
  return nats_per_token * static_cast<double>(info.validation.tokens) /
         static_cast<double>(info.validation.bytes);
}

int Corpus::end_token() const {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  return end != nullptr ? end->id : -1;
}

namespace {

// The shape of the model to train, with the settings completed to match it.
GptConfig prepare_config(const CLI::App& command, TrainOptions& o, const Corpus& corpus,
                         const std::optional<fs::path>& checkpoint) {
  GptConfig config = checkpoint ? read_model_config(*checkpoint) : chosen_config(o.shape);
  if (checkpoint) {
    check_shape(command, o, config);
    check(read_file(*checkpoint / "tokenizer.json", 1 << 28) == corpus.tokenizer_json, [&] {
      return fmt::format("--resume: {} has another tokenizer than this training was started with",
                         o.data);
    });
  } else {
    config.vocab_size = vocab_size(corpus.tokenizer);
    config.bos_token = config.eos_token = corpus.end_token();
  }
  check_config(config);
  if (o.settings.time == 0) o.settings.time = config.context_length;
  check_settings(o.settings, config);
  check_length(corpus.train, o.settings.time);
  check_length(corpus.validation, o.settings.time);
  return config;
}

TrainOrigin origin_of(const TrainOptions& o, const Corpus& corpus) {
  return {o.data, corpus.info.made_from, o.kernels.kernels, o.kernels.threads, o.kernels.device};
}

void run(const CLI::App& command, TrainOptions& o) {
  const auto begun = Clock::now();
  complete_options(command, o);
  const std::optional<fs::path> checkpoint = find_checkpoint(o);
  std::optional<CheckpointInfo> stored;
  if (checkpoint) {
    stored = read_checkpoint_info(*checkpoint);
    take_settings(command, o, *stored);
  }
  o.kernels.matmul_precision = o.settings.matmul_precision;
  const Kernels kernels = choose_kernels(o.kernels);
  const Corpus corpus(o.data);
  const GptConfig config = prepare_config(command, o, corpus, checkpoint);
  const TrainOrigin origin = origin_of(o, corpus);
  if (stored) check_origin(o, stored->origin, origin);
  Gpt<Bfloat16> rounded;
  Gpt<float> model = make_models(o, config, kernels, rounded);
  Session s{o, corpus, model,
            make_trainer(model, o.settings, o.settings.dtype == "bf16" ? &rounded : nullptr)};
  s.start = begun;
  run_session(s, checkpoint, origin, [&] { init_parameters(model, o.settings.seed); });
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
