// Training: batches, gradients, clipping, AdamW, validation. One step after another, and nothing
// about files, which are the checkpoint's business.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {

// Everything that decides what a training computes. Two trainings with equal settings, models and
// data are equal to the bit (given the same kernels and number of threads).
struct TrainSettings {
  int batch = 12;      // sequences in a forward pass
  int time = 64;       // tokens in a sequence
  int accumulate = 1;  // forward and backward passes to one optimizer step
  int steps = 2000;
  float lr = 1e-3f;
  float min_lr = 1e-4f;
  int warmup = 100;
  float beta1 = 0.9f;
  float beta2 = 0.99f;
  float weight_decay = 0.1f;
  float clip = 1.0f;  // of the gradient's norm; 0: no clipping
  std::uint64_t seed = 1;
  int eval_every = 250;    // steps between validations
  int eval_windows = 256;  // windows of a validation on the way; the last one takes the whole split
  int eval_context = 0;    // tokens that a counted one has before it at least (validation_window)
};

// Throws Error, naming the option, unless every value is in its range and fits the model.
void check_settings(const TrainSettings& settings, const GptConfig& config);

// The streams of random numbers under one seed.
inline constexpr std::uint64_t kDataStream = 1;
inline constexpr std::uint64_t kInitStream = 2;

struct Trainer {
  Gpt<float>* model = nullptr;
  TrainSettings settings;
  DeviceBuffer m, v;     // AdamW's moments, laid out like the parameters
  DeviceBuffer scratch;  // of the gradient's norm, which is its first value
  Random data_random;
  int step = 0;  // steps taken
  std::vector<int> tokens, targets;
};

// The model must be made for training, with room for settings.batch sequences of settings.time.
Trainer make_trainer(Gpt<float>& model, const TrainSettings& settings);

struct StepResult {
  double loss = 0;  // mean over the step's tokens, before the update
  float lr = 0;
  float grad_norm = 0;  // before clipping
};

// Takes one step. Throws Error, before anything is updated, when the loss or the gradient is not
// finite.
StepResult train_step(Trainer& trainer, const TokenFile& data);

// Mean loss in nats per token over `windows` windows of the file, or over all where it has fewer.
double validate(Trainer& trainer, const TokenFile& data, std::int64_t windows);

// Seconds of one step, from a few passes that change nothing: for plans that have to fit a time.
double measure_step_seconds(Trainer& trainer, const TokenFile& data);

}  // namespace tinygpt
