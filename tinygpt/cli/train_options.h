// The options of `tinygpt train`.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "tinygpt/cli/kernels.h"
#include "tinygpt/model/config.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::cli {

struct TrainOptions {
  std::string data = "data/tinytales";
  std::string out = "models/mine";
  std::string preset;
  std::string config = "demo";  // a named shape, to which the options below are changes
  std::string family;
  int layers = 0, heads = 0, kv_heads = 0, width = 0, hidden = 0, context = 0;
  bool untied = false;
  float dropout = 0;
  TrainSettings settings;
  int checkpoint_every = 500;
  int log_every = 10;
  double max_minutes = 0;  // 0: no limit
  int samples = 0;
  bool resume = false;
  bool overwrite = false;
  KernelChoice kernels;
};

// Adds them all to the command.
void add_train_options(CLI::App& command, TrainOptions& options);

// Sets what --preset stands for, except where the command line says otherwise. Throws Error,
// listing the presets, on an unknown one.
void apply_preset(const CLI::App& command, TrainOptions& options);

// The shape that --config and the options after it describe; the vocabulary is left to the caller.
GptConfig chosen_config(const TrainOptions& options);

}  // namespace tinygpt::cli
