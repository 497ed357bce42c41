// What the experiments of lesson 21 share.
#pragma once

#include <string>
#include <vector>

#include "lessons/support/demo.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/quant/quantizers.h"

namespace tinygpt::lessons {

// The functions of this lesson, as the library takes them.
Quantizers lesson_quantizers();

// tinytales, a token for each character.
struct Text {
  int V = 0;
  std::vector<int> train, validation;
};
Text load_text(int stories);

inline constexpr int kTime = 64;  // tokens in a window

// A GPT of LLaMA's shape, trained for so many steps; it has room for `kBatch` windows.
inline constexpr int kBatch = 8;
Gpt<float> train_model(const Text& text, int steps);

// A model for inference with these weights.
Gpt<float> copy_of(const Gpt<float>& model);

// Mean loss over validation windows, in nats, and the mean divergence of `model`'s predictions from
// those of `reference`.
struct Quality {
  double loss = 0, divergence = 0;
};
Quality measure(Gpt<float>& model, Gpt<float>& reference, const Text& text);

// The experiments that train a model.
void compare_methods(const std::vector<Option>& options);

}  // namespace tinygpt::lessons
