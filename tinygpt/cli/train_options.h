// The options of `tinygpt train`.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "tinygpt/cli/kernels.h"
#include "tinygpt/model/config.h"
#include "tinygpt/train/checkpoint.h"

namespace tinygpt::cli {

// Changes to a named shape.
struct ShapeOptions {
  std::string config = "demo";
  std::optional<std::string> family;
  std::optional<int> layers, heads, kv_heads, width, hidden, context;
  std::optional<float> dropout, init_std;
  bool untied = false;
};

struct TrainOptions {
  std::string data = "data/tinytales";
  std::string out = "models/mine";
  std::string preset;
  ShapeOptions shape;
  TrainSettings settings;
  int checkpoint_every = 500;
  int log_every = 10;
  double max_minutes = 0;  // 0: no limit
  int samples = 0;
  bool json = false;
  bool resume = false;
  bool overwrite = false;
  KernelChoice kernels;
};

// Adds them all to the command.
void add_train_options(CLI::App& command, TrainOptions& options);

// Those that a training of any kind has: of its steps, of what is measured, shown and saved.
void add_session_options(CLI::App& command, TrainOptions& options);

// Sets what --preset stands for, except where the command line says otherwise, then the defaults
// that follow from other options, and checks what needs no file to be checked. Throws Error, naming
// the option.
void complete_options(const CLI::App& command, TrainOptions& options);

// The shape that --config and the options after it describe; the vocabulary is left to the caller.
GptConfig chosen_config(const ShapeOptions& options);

// For --resume: takes the checkpoint's settings and shape. Throws Error, naming the option, where
// the command line asks for others; only --steps and what decides what is measured and shown may
// change on the way. (A preset asks for nothing that its checkpoint does not have.)
void take_settings(const CLI::App& command, TrainOptions& options, const CheckpointInfo& stored);
void check_shape(const CLI::App& command, const TrainOptions& options, const GptConfig& stored);

}  // namespace tinygpt::cli
