// What a run of `tinygpt train` works on, and what it says on the way.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "tinygpt/cli/terminal.h"
#include "tinygpt/cli/train_options.h"
#include "tinygpt/io/corpus_json.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/train/log.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::cli {

// What is read from a corpus's folder.
struct Corpus {
  explicit Corpus(const std::filesystem::path& folder);
  // From nats per token to nats per byte.
  double per_byte(double nats_per_token) const;
  // The token after each document, or -1.
  int end_token() const;

  CorpusInfo info;
  std::string tokenizer_json;
  Tokenizer tokenizer;
  TokenFile train, validation;
};

using Clock = std::chrono::steady_clock;

struct Session {
  const TrainOptions& options;
  const Corpus& corpus;
  Gpt<float>& model;
  Trainer trainer;
  double peak_flops = 0;      // of the processor; 0: the device is another
  int first_step = 0;         // of this run: not 0 when it was resumed
  double elapsed_before = 0;  // seconds of the runs before this one
  Clock::time_point start = Clock::now();
  double step_seconds = 0;  // of the last steps, smoothed
  StatusLine status{};
  Product product{};                           // what is saved: the model, or an adapter beside it
  std::string adapter_plan{};                  // what the adapter is, for the plan
  Clock::time_point last_kept = Clock::now();  // when a progress line was printed for good
};

// The checkpoint to go on from, where --resume asks for one. Throws Error where the folder holds a
// product that neither --resume nor --overwrite says what to do with.
std::optional<std::filesystem::path> find_checkpoint(const TrainOptions& options,
                                                     const Product& product = {});

// The corpus must be the same to the letter; device, kernels and threads may change, at the price
// of rounding differently.
void check_origin(const TrainOptions& options, const TrainOrigin& was, const TrainOrigin& is);

// The model; with --dtype bf16 also the copy that passes are computed on. Then the model itself
// only has the weights, and room to write samples with them.
Gpt<float> make_models(const TrainOptions& options, const GptConfig& config, const Kernels& kernels,
                       Gpt<Bfloat16>& rounded);

// The whole run: from the checkpoint, or from what begin() puts into the model, to the last step.
// Ends the program with code 130 after an interrupt, when all is saved.
void run_session(Session& session, const std::optional<std::filesystem::path>& checkpoint,
                 const TrainOrigin& origin, const std::function<void()>& begin);

double seconds_since(Clock::time_point start);
double tokens_per_second(const Session& session);

// What is trained on what, and the head of the progress lines.
void print_plan(const Session& session);

// The log's first line: shape, settings, corpus.
nlohmann::json describe(const Session& session);

// The log's line about a step.
nlohmann::json describe_step(const Session& session, const StepResult& result, bool validated);

// A progress line: redrawn in place on a terminal, unless `keep`. Elsewhere only kept lines, and
// one every half minute, are printed.
void show_progress(Session& session, const StepResult& result, bool keep);

// A text as the model writes it now.
void show_sample(Session& session);

// The validation loss beside the floor, and, where the corpus's grammar is known, how many of two
// dozen stories are right and how many of these are new.
void print_result(Session& session);

}  // namespace tinygpt::cli
