// What the experiments of lesson 14 share: corpora, small models, trainings.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lessons/support/demo.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::lessons {

// Tokens of a sequence: the longest of the stories to validate on has 175.
inline constexpr int kTime = 176;

// A text as tokens, in the files that a training reads.
struct Corpus {
  std::string name;
  Tokenizer tokenizer;
  std::unique_ptr<TokenFile> train, validation;
  std::vector<std::string> documents;  // to train on; stories, or all of it as one
  double floor = 0;                    // nats per token of the validation text; 0: unknown
  int end = -1;                        // the token behind each document, or -1
};

// So many stories to train on, with a byte pair encoding of 768 tokens that was learned from 2,000
// stories, whichever of them are trained on: losses can be compared. The validation stories are
// always the same.
Corpus tinytales_corpus(int stories);
// A file's characters, a tenth of them held out.
Corpus file_corpus(const std::string& path);
// Option "text": a file, or tinytales where that is empty.
Corpus corpus_of(const std::vector<Option>& options, int stories);

// LLaMA's shape, two layers deep.
GptConfig small_config(const Corpus& corpus, int width, float dropout = 0);

struct Plan {
  int width = 64, batch = 4, steps = 1000;
  float lr = 4e-3f, dropout = 0, weight_decay = 0;
  std::uint64_t seed = 1;
};

// Called after the steps that `wanted` names; false ends the training.
struct Visit {
  int step = 0;
  double train_loss = 0;  // the mean over the steps since the last visit
  Gpt<float>* model = nullptr;
  Trainer* trainer = nullptr;
};
struct Visits {
  std::function<bool(int step)> wanted = [](int) { return false; };
  std::function<bool(const Visit&)> visit = [](const Visit&) { return true; };
};

// Trains, with progress and the time left, and returns the model.
Gpt<float> train(const Corpus& corpus, const Plan& plan, const std::string& what,
                 const Visits& visits = {});

// The loss on a split, in nats per token, over about so many tokens.
double loss_on(Trainer& trainer, const TokenFile& data, std::int64_t tokens);

// A text as the model writes it, at most so many tokens, from the beginning of a document.
std::string write_text(Gpt<float>& model, const Corpus& corpus, const SamplingSettings& sampling,
                       std::uint64_t seed, int most);

// Results of trainings that are done, in lessons-out/14-results.txt: an experiment that was stopped
// goes on where it was. `name` says all that decides the numbers.
using Numbers = std::vector<double>;
Numbers remembered(const std::string& name, const std::function<Numbers()>& compute);
// Forgets them where option "again" is 1.
void forget_if_asked(const std::vector<Option>& options);

// On standard error where that is a terminal; nothing of it reaches what a README quotes.
void say_on_terminal(const std::string& words);

// "41k", "1.3M"
std::string short_count(double n);

// The experiments, each in a file of its own.
void train_and_sample(const std::vector<Option>& options);
void sweep_parameters(const std::vector<Option>& options);
void sweep_tokens(const std::vector<Option>& options);
void overfit(const std::vector<Option>& options);
void settings_side_by_side(const std::vector<Option>& options);
void show_distribution(const std::vector<Option>& options);

// The model of `train`, from lessons-out/14-model; trained first where it is not there.
inline constexpr const char* kModelFolder = "lessons-out/14-model";
Gpt<float> trained_model(const Corpus& corpus);
inline constexpr int kStories = 20000;  // that it is trained on

}  // namespace tinygpt::lessons
