#include "tinygpt/model/gguf_names.h"

#include <string_view>
#include <utility>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

struct Renamed {
  std::string_view ours, theirs;
};

constexpr Renamed kParts[] = {
    {"norm1", "attn_norm"}, {"attn.qkv", "attn_qkv"}, {"attn.proj", "attn_output"},
    {"norm2", "ffn_norm"},  {"mlp.up", "ffn_up"},     {"mlp.down", "ffn_down"},
};

GgufPart rows_of(const Parameter& p, std::string name, int first, int rows, int heads = 0) {
  return {std::move(name),           p.offset + std::int64_t{first} * p.cols, rows, p.cols, heads,
          p.decay && p.name != "wpe"};
}

void add_block(std::vector<GgufPart>& parts, const Parameter& p, const GptConfig& c) {
  // "h.3.attn.qkv.weight"
  const std::size_t layer_end = p.name.find('.', 2), part_end = p.name.rfind('.');
  const std::string block = "blk." + p.name.substr(2, layer_end - 2) + ".";
  const std::string part = p.name.substr(layer_end + 1, part_end - layer_end - 1);
  const std::string kind = p.name.substr(part_end);
  if (c.family == Family::llama && part == "attn.qkv") {
    const int q = c.heads * c.head_size(), kv = c.kv_heads * c.head_size();
    parts.push_back(rows_of(p, block + "attn_q" + kind, 0, q, c.heads));
    parts.push_back(rows_of(p, block + "attn_k" + kind, q, kv, c.kv_heads));
    parts.push_back(rows_of(p, block + "attn_v" + kind, q + kv, kv));
    return;
  }
  if (c.family == Family::llama && part == "mlp.up") {
    parts.push_back(rows_of(p, block + "ffn_gate" + kind, 0, c.hidden));
    parts.push_back(rows_of(p, block + "ffn_up" + kind, c.hidden, c.hidden));
    return;
  }
  for (const Renamed& r : kParts) {
    if (part == r.ours)
      parts.push_back(rows_of(p, block + std::string(r.theirs) + kind, 0, p.rows));
  }
}

}  // namespace

std::vector<std::int64_t> GgufPart::shape() const {
  if (rows == 1 && !matrix) return {cols};
  return {rows, cols};
}

int GgufPart::our_row(int r) const {
  if (turned_heads == 0) return r;
  const int size = rows / turned_heads, head = r / size, i = r % size;
  return head * size + i / 2 + (i % 2) * (size / 2);
}

std::vector<GgufPart> gguf_parts(const ParameterLayout& layout, const GptConfig& config) {
  std::vector<GgufPart> parts;
  for (const Parameter& p : layout.parameters) {
    if (p.name == "wte") parts.push_back(rows_of(p, "token_embd.weight", 0, p.rows));
    else if (p.name == "wpe") parts.push_back(rows_of(p, "position_embd.weight", 0, p.rows));
    else if (p.name == "head") parts.push_back(rows_of(p, "output.weight", 0, p.rows));
    else if (p.name.starts_with("norm_f"))
      parts.push_back(rows_of(p, "output_norm" + p.name.substr(6), 0, p.rows));
    else add_block(parts, p, config);
  }
  return parts;
}

}  // namespace tinygpt
