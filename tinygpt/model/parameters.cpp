#include "tinygpt/model/parameters.h"

#include <cstdint>
#include <utility>

namespace tinygpt {
namespace {

// 16 floats are a cache line: no two tensors share one, and vector loads are aligned.
constexpr std::int64_t kAlignment = 16;

std::int64_t add(ParameterLayout& layout, std::string name, int rows, int cols, bool decay) {
  const std::int64_t offset = layout.total;
  layout.parameters.push_back({std::move(name), offset, rows, cols, decay});
  const std::int64_t size = layout.parameters.back().size();
  layout.total += (size + kAlignment - 1) / kAlignment * kAlignment;
  return offset;
}

BlockOffsets add_block(ParameterLayout& layout, const GptConfig& c, const std::string& h) {
  const bool gpt2 = c.family == Family::gpt2;
  const auto weight = [&](const char* name, int rows, int cols) {
    return add(layout, h + name + ".weight", rows, cols, true);
  };
  const auto scale = [&](const char* name) {
    return add(layout, h + name + ".weight", 1, c.width, false);
  };
  const auto bias = [&](const char* name, int n) {
    return gpt2 ? add(layout, h + name + ".bias", 1, n, false) : -1;
  };
  BlockOffsets b;
  b.norm1_weight = scale("norm1");
  b.norm1_bias = bias("norm1", c.width);
  b.qkv_weight = weight("attn.qkv", c.qkv_width(), c.width);
  b.qkv_bias = bias("attn.qkv", c.qkv_width());
  b.proj_weight = weight("attn.proj", c.width, c.width);
  b.proj_bias = bias("attn.proj", c.width);
  b.norm2_weight = scale("norm2");
  b.norm2_bias = bias("norm2", c.width);
  b.up_weight = weight("mlp.up", c.up_width(), c.width);
  b.up_bias = bias("mlp.up", c.up_width());
  b.down_weight = weight("mlp.down", c.width, c.hidden);
  b.down_bias = bias("mlp.down", c.width);
  return b;
}

}  // namespace

ParameterLayout make_layout(const GptConfig& c) {
  check_config(c);
  ParameterLayout layout;
  layout.wte = add(layout, "wte", c.vocab_size, c.width, true);
  if (c.family == Family::gpt2) layout.wpe = add(layout, "wpe", c.context_length, c.width, true);
  for (int l = 0; l < c.layers; ++l) {
    layout.blocks.push_back(add_block(layout, c, "h." + std::to_string(l) + "."));
  }
  layout.norm_f_weight = add(layout, "norm_f.weight", 1, c.width, false);
  if (c.family == Family::gpt2) layout.norm_f_bias = add(layout, "norm_f.bias", 1, c.width, false);
  layout.head = c.tied_head ? layout.wte : add(layout, "head", c.vocab_size, c.width, true);
  return layout;
}

}  // namespace tinygpt
