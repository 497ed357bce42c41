// A machine with memory for everything: parameters, gradients, activations and AdamW's moments.
#pragma once

#include <cstdint>
#include <vector>

#include "solutions/11-gpt/gpt.h"

namespace tinygpt::lessons {

struct Rig {
  Rig(const GptShape& shape, const Ops<float>& ops, int batch, int time);

  // The mean loss of one batch; backward adds its gradient to `gradients`.
  float loss(const std::vector<int>& tokens, const std::vector<int>& targets);
  void backward(const std::vector<int>& tokens, const std::vector<int>& targets);
  void adamw_step(float learning_rate);

  GptParameters<float> parameters() { return gpt_parameters(params.data(), s); }
  GptParameters<const float> fixed() const { return gpt_parameters(params.data(), s); }

  GptShape s;
  int B, T, steps = 0;
  std::vector<float> params, gradients, moments, room, scratch;
  GptActivations a;
  Machine m;
};

// Ops with a mistake in the backward pass of whoever calls them.
Ops<float> without_embedding_gradient(Ops<float> ops);
Ops<float> without_head_gradient(Ops<float> ops);
Ops<float> without_stream_gradient(Ops<float> ops);  // what passes a branch by is dropped

}  // namespace tinygpt::lessons
