// Where each parameter lies in the one buffer that holds them all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/model/config.h"

namespace tinygpt {

// One tensor of the model. Matrices are [rows, cols] = [out, in]; vectors have rows = 1.
struct Parameter {
  std::string name;  // ours: "wte", "h.0.attn.qkv.weight", "h.0.mlp.up.bias", "norm_f.weight", ...
  std::int64_t offset = 0;  // in values from the start of the buffer; a multiple of 16 (64 bytes)
  int rows = 0;
  int cols = 0;
  bool decay = false;  // weight decay applies to matrices and embeddings, not to norms and biases
  std::int64_t size() const { return std::int64_t{rows} * cols; }
};

// The offsets of one transformer block; -1 where the family has no such tensor.
struct BlockOffsets {
  std::int64_t norm1_weight = -1, norm1_bias = -1;
  std::int64_t qkv_weight = -1, qkv_bias = -1;    // [(NH + 2 NKV) HS, C]: q rows, k rows, v rows
  std::int64_t proj_weight = -1, proj_bias = -1;  // [C, C]
  std::int64_t norm2_weight = -1, norm2_bias = -1;
  std::int64_t up_weight = -1, up_bias = -1;      // gpt2 [hidden, C]; llama gate|up [2 hidden, C]
  std::int64_t down_weight = -1, down_bias = -1;  // [C, hidden]
};

struct ParameterLayout {
  std::vector<Parameter> parameters;  // in the order of the buffer
  std::int64_t total = 0;             // values in the buffer, padding between tensors included
  std::int64_t wte = -1;              // [V, C]
  std::int64_t wpe = -1;              // [context_length, C]; gpt2
  std::vector<BlockOffsets> blocks;
  std::int64_t norm_f_weight = -1, norm_f_bias = -1;
  std::int64_t head = -1;  // [V, C]; equal to wte when tied
};

ParameterLayout make_layout(const GptConfig& config);

}  // namespace tinygpt
