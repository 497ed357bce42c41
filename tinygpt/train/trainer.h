// Training: batches, gradients, clipping, AdamW, validation. One step after another, and nothing
// about files, which are the checkpoint's business.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/train/settings.h"

namespace tinygpt {

// Data order and initialisation draw from streams of their own under the one seed; so does dropout,
// whose streams the model numbers by step.
inline constexpr std::uint64_t kDataStream = 1;

struct Trainer {
  Gpt<float>* model = nullptr;
  // Where there is one, passes are computed on this copy of the weights in bf16, and `model` has
  // the master weights: most updates are too small for bf16 to add to a weight.
  // Micikevicius et al.: "Mixed Precision Training" (2017), section 3.1.
  Gpt<Bfloat16>* rounded = nullptr;
  bool rounded_is_current = false;  // the first pass copies the weights
  TrainSettings settings;
  DeviceBuffer m, v;     // AdamW's moments, laid out like what is trained
  DeviceBuffer scratch;  // of the gradient's norm
  // The gradient's norm, and from kLosses on the loss of each token of a step's passes: all that
  // the host wants to know of a step, in one copy.
  DeviceBuffer results;
  static constexpr int kLosses = 16;  // a cache line behind the norm
  Random data_random;
  int step = 0;                             // steps taken
  double elapsed = 0;                       // seconds, all runs together; kept by the caller
  std::optional<double> validation_loss{};  // the last one, nats per token
  std::vector<int> tokens, targets;
  std::vector<float> results_on_host;
  std::vector<int> counted;  // targets of each pass that count
};

// The model must be made for training, with room for settings.batch sequences of settings.time; or
// `rounded` must, and then the model may be made for inference. A model made with Purpose::adapting
// stays as it is: its adapter in use is trained. Throws Error on settings out of range.
Trainer make_trainer(Gpt<float>& model, const TrainSettings& settings,
                     Gpt<Bfloat16>* rounded = nullptr);

// Throws Error, naming the file, unless it has enough tokens for one window.
void check_length(const TokenFile& file, int time);

struct StepResult {
  double loss = 0;  // mean over the step's tokens, before the update
  float lr = 0;
  float grad_norm = 0;  // before clipping
};

// Takes one step. Throws Error, before anything is updated, when the loss or the gradient is not
// finite. The host waits for the device once: for loss and norm, before the update.
StepResult train_step(Trainer& trainer, const TokenFile& data);

// Where the windows start that a validation on the way reads, or the last one: settings.eval_tokens
// or settings.last_eval_tokens of them, or the whole file where that is shorter.
std::vector<std::int64_t> eval_starts(const Trainer& trainer, const TokenFile& data, bool last);

// Mean loss in nats over the tokens of these windows that count. It is kept in
// trainer.validation_loss, too. `before_batch` may throw to end it.
double validate(Trainer& trainer, const TokenFile& data, const std::vector<std::int64_t>& starts,
                const std::function<void()>& before_batch = {});

// Seconds of one step, from passes that change nothing: for plans that have to fit a time. Measures
// for about `seconds`, and at least three passes.
double measure_step_seconds(Trainer& trainer, const TokenFile& data, double seconds = 1.5);

}  // namespace tinygpt
