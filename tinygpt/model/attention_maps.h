// Who looks at whom: the attention probabilities of a forward pass, to look at and to plot.
#pragma once

#include <span>
#include <vector>

#include "tinygpt/model/gpt.h"

namespace tinygpt {

struct AttentionMaps {
  int layers = 0, heads = 0, time = 0;
  // [layers, heads, time, time]: row t holds what query t gives to each key. It sums to 1, and is 0
  // for the keys that come after t.
  std::vector<float> probabilities;

  std::span<const float> map(int layer, int head) const;  // [time, time]
};

// The maps of sequence b of the model's last forward pass. The model never keeps them: they are
// made again from its queries, its keys and the log-sum-exp of their scores, as its backward pass
// makes them. Throws Error where the model is one for inference (all its layers share one place),
// or where no forward pass is left to look at: there was none, or backward() has used it up.
AttentionMaps attention_maps(const Gpt<float>& model, int b = 0);

}  // namespace tinygpt
