// Checkpoints: a training can be killed at any moment and goes on as if it had not been.
//
//   models/NAME/                    a Hugging Face model folder: config.json, model.safetensors,
//                                   tokenizer.json, tokenizer_config.json; always a whole model,
//                                   the newest that was saved
//   models/NAME/log.jsonl           a line for each step that was logged
//   models/NAME/checkpoints/step-000500/
//                                   the same four files, and what is needed to go on:
//                                   optimizer-m.safetensors, optimizer-v.safetensors and
//                                   training.json
//
// A checkpoint's folder is written under another name, made durable, and renamed: whoever finds
// step-000500 finds all of it, and every file in it is of step 500. Removing one goes the same way
// backwards.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "tinygpt/train/trainer.h"

namespace tinygpt {

// What a training makes, as files. Without a change it is a whole model; a training of an adapter
// says how that is written and read instead (adapt/adapter_folder.h).
struct Product {
  std::string config = "config.json";
  std::string weights = "model.safetensors";
  std::function<void(const std::filesystem::path& folder)> save{};
  std::function<void(const std::filesystem::path& folder)> load{};
  // Values laid out like what is trained, in one file.
  std::function<void(const float* values, const std::filesystem::path& file)> save_values{};
  std::function<void(float* values, const std::filesystem::path& file)> load_values{};
};

// Saves the model, the optimizer and the trainer's state, publishes it as the folder's own model,
// and removes all but the two newest checkpoints. tokenizer_json is the file's content. Throws
// Error, and leaves everything that was there as it was, when the disk is full or a parameter is
// not finite.
void save_checkpoint(const Trainer& trainer, const TrainOrigin& origin,
                     const std::filesystem::path& folder, const std::string& tokenizer_json,
                     const Product& product = {});

// The newest checkpoint's folder, or nothing.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& folder);

// Makes the folder's own model the same as the checkpoint's: what save_checkpoint ends with, for a
// training that was killed before it came to that.
void publish_checkpoint(const std::filesystem::path& checkpoint,
                        const std::filesystem::path& folder, const Product& product = {});

// Removes the folder's checkpoints, and nothing else that may be there.
void remove_checkpoints(const std::filesystem::path& folder);

// What a checkpoint's training was told to do. Throws Error, naming file and field, on a bad file.
struct CheckpointInfo {
  TrainSettings settings;
  TrainOrigin origin;
  int step = 0;
};
CheckpointInfo read_checkpoint_info(const std::filesystem::path& checkpoint);

// Sets model, optimizer, data order and step to what they were. Throws Error when a file is missing
// or broken, or a value is not finite; then everything stays as it is.
void load_checkpoint(Trainer& trainer, const std::filesystem::path& checkpoint,
                     const Product& product = {});

}  // namespace tinygpt
