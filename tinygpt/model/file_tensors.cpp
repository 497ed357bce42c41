#include "tinygpt/model/file_tensors.h"

#include <cstdint>
#include <utility>

namespace tinygpt {
namespace {

// Our names' parts and the file's.
struct Renamed {
  std::string_view ours, theirs;
};

constexpr Renamed kGpt2Parts[] = {
    {"norm1", "ln_1"}, {"attn.qkv", "attn.c_attn"}, {"attn.proj", "attn.c_proj"},
    {"norm2", "ln_2"}, {"mlp.up", "mlp.c_fc"},      {"mlp.down", "mlp.c_proj"},
};

constexpr Renamed kLlamaParts[] = {
    {"norm1", "input_layernorm"},
    {"attn.proj", "self_attn.o_proj"},
    {"norm2", "post_attention_layernorm"},
    {"mlp.down", "mlp.down_proj"},
};

// "h.3.norm1.weight" in three parts: "3", "norm1", "weight".
struct BlockName {
  std::string layer, part, kind;
};

BlockName split_block_name(const std::string& name) {
  const std::size_t layer_end = name.find('.', 2), part_end = name.rfind('.');
  return {name.substr(2, layer_end - 2), name.substr(layer_end + 1, part_end - layer_end - 1),
          name.substr(part_end + 1)};
}

std::string gpt2_name(const Parameter& p) {
  if (p.name == "head") return "lm_head.weight";
  if (p.name == "wte" || p.name == "wpe") return "transformer." + p.name + ".weight";
  if (p.name.starts_with("norm_f")) return "transformer.ln_f" + p.name.substr(6);
  const BlockName b = split_block_name(p.name);
  std::string part;
  for (const Renamed& r : kGpt2Parts) {
    if (b.part == r.ours) part = r.theirs;
  }
  return "transformer.h." + b.layer + "." + part + "." + b.kind;
}

void add_rows(std::vector<FileTensor>& tensors, std::string name, const Parameter& p, int first,
              int rows) {
  FileTensor t{std::move(name), p.offset + std::int64_t{first} * p.cols, rows, p.cols, false, {}};
  if (p.decay) t.shape = {rows, p.cols};
  else t.shape = {p.cols};
  tensors.push_back(std::move(t));
}

void add_gpt2(std::vector<FileTensor>& tensors, const Parameter& p) {
  add_rows(tensors, gpt2_name(p), p, 0, p.rows);
  FileTensor& t = tensors.back();
  const bool is_linear = p.decay && p.name.starts_with("h.");
  if (is_linear) {
    t.transposed = true;
    t.shape = {t.cols, t.rows};
  }
}

void add_llama(std::vector<FileTensor>& tensors, const Parameter& p, const GptConfig& c) {
  if (p.name == "wte") return add_rows(tensors, "model.embed_tokens.weight", p, 0, p.rows);
  if (p.name == "head") return add_rows(tensors, "lm_head.weight", p, 0, p.rows);
  if (p.name == "norm_f.weight") return add_rows(tensors, "model.norm.weight", p, 0, p.rows);
  const BlockName b = split_block_name(p.name);
  const std::string block = "model.layers." + b.layer + ".";
  if (b.part == "attn.qkv") {
    const int q = c.heads * c.head_size(), kv = c.kv_heads * c.head_size();
    add_rows(tensors, block + "self_attn.q_proj.weight", p, 0, q);
    add_rows(tensors, block + "self_attn.k_proj.weight", p, q, kv);
    add_rows(tensors, block + "self_attn.v_proj.weight", p, q + kv, kv);
    return;
  }
  if (b.part == "mlp.up") {
    add_rows(tensors, block + "mlp.gate_proj.weight", p, 0, c.hidden);
    add_rows(tensors, block + "mlp.up_proj.weight", p, c.hidden, c.hidden);
    return;
  }
  for (const Renamed& r : kLlamaParts) {
    if (b.part == r.ours)
      add_rows(tensors, block + std::string(r.theirs) + ".weight", p, 0, p.rows);
  }
}

}  // namespace

std::vector<FileTensor> file_tensors(const ParameterLayout& layout, const GptConfig& config) {
  std::vector<FileTensor> tensors;
  for (const Parameter& p : layout.parameters) {
    if (config.family == Family::gpt2) add_gpt2(tensors, p);
    else add_llama(tensors, p, config);
  }
  return tensors;
}

std::string canonical_name(Family family, const std::string& name) {
  const std::string prefix = family == Family::gpt2 ? "transformer." : "model.";
  const bool has_none = !name.starts_with(prefix) && !name.starts_with("lm_head.");
  return has_none ? prefix + name : name;
}

bool is_constant_buffer(Family family, std::string_view name) {
  if (family == Family::llama) return name.ends_with(".rotary_emb.inv_freq");
  return name.starts_with("transformer.h.") &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

}  // namespace tinygpt
