// Lesson 11's machine on the parameters of the library's model.
#pragma once

#include <cstdint>

#include "solutions/11-gpt/tensors.h"
#include "tinygpt/model/config.h"
#include "tinygpt/model/parameters.h"

namespace tinygpt::test {

inline GptShape shape_of(const GptConfig& c) {
  return {c.vocab_size, c.context_length, c.layers, c.heads, c.width, c.norm_eps};
}

// base: the buffer of parameters, or that of gradients.
template <class T>
GptParameters<T> parameters_in(T* base, const ParameterLayout& layout) {
  GptParameters<T> p;
  p.wte = base + layout.wte, p.wpe = base + layout.wpe;
  for (const BlockOffsets& o : layout.blocks) {
    p.blocks.push_back({base + o.norm1_weight, base + o.norm1_bias, base + o.qkv_weight,
                        base + o.qkv_bias, base + o.proj_weight, base + o.proj_bias,
                        base + o.norm2_weight, base + o.norm2_bias, base + o.up_weight,
                        base + o.up_bias, base + o.down_weight, base + o.down_bias});
  }
  p.norm_f_weight = base + layout.norm_f_weight, p.norm_f_bias = base + layout.norm_f_bias;
  return p;
}

}  // namespace tinygpt::test
