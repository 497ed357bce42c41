// The shape of a model: one struct for GPT-2 and for LLaMA.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tinygpt {

// gpt2:  LayerNorm, learned positions, GELU, biases.
// llama: RMSNorm, rotary positions, SwiGLU, grouped-query heads, no biases.
enum class Family { gpt2, llama };

struct GptConfig {
  Family family = Family::gpt2;
  int vocab_size = 256;      // V
  int context_length = 256;  // the largest T
  int layers = 6;            // L
  int heads = 6;             // NH
  int kv_heads = 6;          // NKV; equal to heads in GPT-2
  int width = 384;           // C; the head size HS is width / heads
  int hidden = 1536;         // of the MLP: 4 C in GPT-2
  bool tied_head = true;     // the output projection is the token embedding
  float norm_eps = 1e-5f;
  float rope_base = 10000.0f;  // llama
  float dropout = 0.0f;  // of the embeddings and of what each branch adds to the residual stream
  // Of the first weights. GPT-2's 0.02 suits widths near 1,000; narrow models learn faster from
  // more.
  float init_std = 0.02f;
  int bos_token = -1;  // -1: none
  int eos_token = -1;

  int head_size() const { return width / heads; }
  int qkv_width() const { return (heads + 2 * kv_heads) * head_size(); }
  int up_width() const { return family == Family::llama ? 2 * hidden : hidden; }  // gate | up
  bool operator==(const GptConfig&) const = default;
};

// Throws Error, naming the field and its value, unless every size is positive and in range, heads
// divide the width, kv_heads divide the heads, the head size is even for llama, and no tensor has
// 2^31 rows or columns.
void check_config(const GptConfig& config);

// A named shape: "demo", "nano-cpu" (nanoGPT's CPU setting), "nano-10m", "gpt2-124m",
// "llama-15m"... The vocabulary is the caller's to set. Throws Error, listing the names, on an
// unknown one.
GptConfig named_config(std::string_view name);

// All names, in the order of size within a family.
std::vector<std::string> config_names();

}  // namespace tinygpt
