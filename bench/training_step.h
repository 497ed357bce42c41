// A training step to measure: the trainer's own, on random tokens.
#pragma once

#include "bench/kernels.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::bench {

// A model, and the trainer whose step is measured: what `tinygpt train` does, with the one copy to
// the host that it waits for. In bf16 the model has the master weights alone.
struct TrainingStep {
  explicit TrainingStep(const Settings& settings);
  TrainingStep(const TrainingStep&) = delete;  // the trainer points at the models
  TrainingStep& operator=(const TrainingStep&) = delete;
  void run() { train_step(trainer, data); }

  TokenFile data;
  Gpt<Bfloat16> rounded;
  Gpt<float> model;
  Trainer trainer;
};

}  // namespace tinygpt::bench
