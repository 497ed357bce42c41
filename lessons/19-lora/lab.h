// What the experiments of lesson 19 share: two styles of one corpus, a model of the first, and
// trainings towards the second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lessons/support/demo.h"
#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::lessons {

inline constexpr int kTime = 128;  // tokens of a sequence

struct Style {
  std::unique_ptr<TokenFile> train, validation;
  double floor = 0;  // nats per token of the validation text
};

struct Lab {
  Tokenizer tokenizer;  // learned from tinytales, and used for both
  int end = -1;
  Style tales, letters;
  GptConfig config;
};
Lab make_lab();

// The model that has read tinytales: from lessons-out/19-base, trained first where it is not there.
Gpt<float> base_model(const Lab& lab, Purpose purpose);

// What a training of 120 steps is told.
TrainSettings tuning(float lr);

inline constexpr int kSteps = 120;
inline constexpr float kLoraRate = 1e-2f, kFullRate = 4e-3f;

// The loss on a style's validation text, nats per token.
double loss_on(Trainer& trainer, const Style& style);

// A frozen base with an adapter beside it. The model knows where its adapter lies, so that neither
// may move.
struct Adapted {
  Adapted(const Lab& lab, int rank, Purpose purpose = Purpose::adapting);
  Adapted(const Adapted&) = delete;
  Adapted& operator=(const Adapted&) = delete;

  Gpt<float> model;
  Adapter<float> adapter;
};

// Trains whatever the model trains on letters.
void tune(Trainer& trainer, const Lab& lab, const std::string& what);

// "lora 8" is trained once, and kept in lessons-out/19-adapter.
void load_or_tune(Adapted& adapted, const Lab& lab);

// The experiments, each in a file of its own.
void compare_ranks(const std::vector<Option>& options);
void compare_starts(const std::vector<Option>& options);
void prove_frozen(const std::vector<Option>& options);
void merge_and_unmerge(const std::vector<Option>& options);
void write_texts(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
