// Checkpoints: a training can be killed at any moment and goes on as if it had not been.
//
//   models/NAME/                    a Hugging Face model folder: config.json, model.safetensors,
//                                   tokenizer.json; always a whole model, the newest that was saved
//   models/NAME/log.jsonl           a line for each step that was logged
//   models/NAME/checkpoints/step-000500/
//                                   the same three files, and what is needed to go on:
//                                   optimizer-m.safetensors, optimizer-v.safetensors and
//                                   training.json
//
// A checkpoint's folder is written under another name, made durable, and renamed: whoever finds
// step-000500 finds all of it, and every file in it is of step 500.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "tinygpt/train/trainer.h"

namespace tinygpt {

// Saves the model, the optimizer and the trainer's state, makes the folder's own model the same,
// and removes all but the two newest checkpoints. tokenizer_json is the file's content.
void save_checkpoint(const Trainer& trainer, const std::filesystem::path& folder,
                     const std::string& tokenizer_json);

// The newest checkpoint's folder, or nothing.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& folder);

// The settings that a checkpoint was made with. Throws Error, naming file and field, on a bad file.
TrainSettings load_settings(const std::filesystem::path& checkpoint);

// Sets model, optimizer, data order and step to what they were. Throws Error, and changes nothing
// that matters, when a file is missing or broken.
void load_checkpoint(Trainer& trainer, const std::filesystem::path& checkpoint);

// The log: one JSON object a line. Opening it for a training that goes on at `step` removes what
// was logged after that step, and a line that was cut off.
class TrainingLog {
 public:
  TrainingLog(const std::filesystem::path& folder, int step);
  ~TrainingLog();
  TrainingLog(const TrainingLog&) = delete;
  TrainingLog& operator=(const TrainingLog&) = delete;
  // Appends a line and hands it to the system at once.
  void write(const std::string& json_line);

 private:
  std::FILE* file_ = nullptr;
  std::filesystem::path path_;
};

}  // namespace tinygpt
