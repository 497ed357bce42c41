// A small GPT, trained by the functions of this lesson. Forward and backward passes are the
// library's; everything that a step does with the gradient is yours to write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "solutions/13-training-loop/schedule.h"
#include "solutions/13-training-loop/step.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::lessons {

struct Text {
  int V = 0;
  std::vector<int> train, validation;
  double floor = 0;  // nats a character
};
// tinytales, a token for each character.
Text load_text();

enum class Optimizer { adamw, no_correction, adam_l2, sgd };

// How a training is done.
struct Recipe {
  ref::Schedule schedule{.lr = 1e-2f, .min_lr = 1e-4f, .warmup = 50, .steps = 500};
  Optimizer optimizer = Optimizer::adamw;
  int batch = 8;   // windows in a pass
  int passes = 1;  // to a step
  float max_norm = 1;
  float beta2 = 0.99f;
  float weight_decay = 0.1f;
  std::uint64_t seed = 1;
};

inline constexpr int kTime = 32;  // tokens in a window

class Training {
 public:
  Training(const Text& text, const Recipe& recipe);

  // One micro-batch: adds scale times its gradient, and returns its loss.
  double pass(float scale);
  ref::StepResult step(const ref::Pass& pass);
  ref::StepResult step();  // by the passes that it should take
  double validation_loss();
  int steps() const { return steps_; }
  std::vector<float> weights() const;

  // What a checkpoint has to hold, part by part, and how it is put back.
  struct State {
    std::vector<float> params, m, v;
    Random random;
    int steps = 0;
  };
  State state() const;
  void set_state(const State& state);

 private:
  Recipe recipe_;
  const Text& text_;
  Gpt<float> model_;
  std::vector<ref::ParameterShape> shapes_;
  std::vector<float> m_, v_, scratch_;
  std::vector<int> tokens_, targets_;
  Random random_;
  int steps_ = 0;
};

// A file with the state, and back. Throws Error on a file of another size.
void write_state(const std::string& path, const Training::State& state);
Training::State read_state(const std::string& path, std::size_t values);

}  // namespace tinygpt::lessons
