// What a training is told to do.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tinygpt/model/config.h"

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
  std::string dtype = "float";  // of passes: float, or bf16 with the master weights in float
  // Of the operands of linear layers' products on the cpu: float, or bf16 while all else is float.
  std::string matmul_precision = "float";
  // Windows begin where a document begins, and a validation judges whole documents.
  bool documents = false;

  // These only decide what is measured.
  int eval_every = 250;                       // steps between validations
  std::int64_t eval_tokens = 16'384;          // read by a validation on the way
  std::int64_t last_eval_tokens = 1'000'000;  // and by the last one
  int eval_context = 0;  // tokens that a counted one has before it at least (unless documents)
};

// Throws Error, naming the option, unless every value is in its range and fits the model.
void check_settings(const TrainSettings& settings, const GptConfig& config);

nlohmann::json settings_to_json(const TrainSettings& settings);

// Throws Error, naming the field, where one is missing, of another type or out of range.
TrainSettings settings_from_json(const nlohmann::json& value);

// What must stay the same too when a training goes on, and is not the trainer's business: it is
// stored beside the settings and handed back.
struct TrainOrigin {
  std::string data;     // the corpus's folder
  std::string corpus;   // what made the corpus's content
  std::string kernels;  // --kernels
  int threads = 0;
  std::string device = "cpu";  // --device, never "auto"
  // Of a fine-tuning: the model that it starts from, and the digest of its weights. Else empty.
  std::string base = {};
  std::string base_sha256 = {};
};

}  // namespace tinygpt
