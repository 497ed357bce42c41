// A GGUF file's weights for the engine: quantized linears packed, the rest as floats.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/infer/model_weights.h"
#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gguf_names.h"

namespace tinygpt {
namespace {

// One of our parameters, the tensors that make it up, and where it goes.
struct Source {
  const Parameter* parameter;
  std::vector<GgufPart> parts{};
  bool quantized = false;
  GgufType type = GgufType::f32;  // of all its parts, where quantized
  std::int64_t place = -1;  // in values of `floats` or bytes of `packed`; -1: left in the file
};

struct Plan {
  std::vector<Source> sources;
  std::int64_t floats = 0, packed = 0;
};

bool is_quantized(GgufType type) { return type == GgufType::q8_0 || type == GgufType::q4_0; }

QuantType quant_type(GgufType type) {
  return type == GgufType::q8_0 ? QuantType::q8_0 : QuantType::q4_0;
}

std::int64_t aligned(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// A linear layer stays quantized where all of its tensors are, in one type.
bool stays_quantized(const GgufFile& f, const Source& s) {
  return std::all_of(s.parts.begin(), s.parts.end(), [&](const GgufPart& part) {
    const GgufType type = f.find(part.name)->type;
    return part.matrix && is_quantized(type) && type == f.find(s.parts[0].name)->type;
  });
}

Plan make_plan(const GgufFile& f, const ParameterLayout& layout, const GptConfig& c,
               const Ops<float>& ops) {
  const std::vector<GgufPart> parts = gguf_parts(layout, c);
  Plan plan;
  for (const Parameter& p : layout.parameters) {
    Source s{&p};
    std::copy_if(parts.begin(), parts.end(), std::back_inserter(s.parts), [&](const GgufPart& g) {
      return g.offset >= p.offset && g.offset < p.offset + p.size();
    });
    s.quantized = stays_quantized(f, s);
    const bool only_rows = p.name == "wte" && !c.tied_head;  // nothing multiplies by it
    if (s.quantized && !only_rows) {
      check(ops.quantized_pack != nullptr, [&] {
        return fmt::format(
            "{}: its weights are quantized, and the chosen kernels have no operators for them: "
            "take the device's own, or export a model with --type f16",
            f.name);
      });
      s.type = f.find(s.parts[0].name)->type;
      s.place = plan.packed;
      plan.packed =
          aligned(plan.packed + ops.quantized_packed_size(quant_type(s.type), p.rows, p.cols), 64);
    } else if (!only_rows) {
      s.place = plan.floats;
      plan.floats = aligned(plan.floats + p.size(), 16);
    }
    plan.sources.push_back(std::move(s));
  }
  return plan;
}

[[noreturn]] void refuse_value(const GgufFile& f, const std::string& tensor) {
  throw Error(fmt::format("{}: tensor {} holds a value that is not finite", f.name, tensor));
}

template <class Block>
bool scales_are_finite(std::span<const std::byte> bytes) {
  const auto* blocks = reinterpret_cast<const Block*>(bytes.data());
  const std::size_t n = bytes.size() / sizeof(Block);
  return std::all_of(blocks, blocks + n, [](const Block& b) { return std::isfinite(float{b.d}); });
}

void check_finite(const GgufFile& f, const GgufTensor& t) {
  const bool finite = t.type == GgufType::q8_0 ? scales_are_finite<BlockQ8_0>(t.bytes)
                                               : scales_are_finite<BlockQ4_0>(t.bytes);
  if (!finite) refuse_value(f, t.name);
}

// The rows of all parts in our order, as blocks.
void pack(void* to, const GgufFile& f, const Source& s, const Ops<float>& ops,
          std::vector<std::byte>& rows) {
  const Parameter& p = *s.parameter;
  const std::int64_t row_bytes = bytes_of(s.type, p.cols);
  rows.resize(static_cast<std::size_t>(p.rows * row_bytes));
  for (const GgufPart& part : s.parts) {
    const GgufTensor& t = *f.find(part.name);
    check_finite(f, t);
    const std::int64_t first = (part.offset - p.offset) / p.cols;
    for (int r = 0; r < part.rows; ++r) {
      std::memcpy(rows.data() + (first + part.our_row(r)) * row_bytes,
                  t.bytes.data() + r * row_bytes, static_cast<std::size_t>(row_bytes));
    }
  }
  ops.quantized_pack(to, rows.data(), quant_type(s.type), p.rows, p.cols);
}

void copy_floats(float* to, const GgufFile& f, const Source& s, const Memory& memory,
                 std::vector<float>& values) {
  const Parameter& p = *s.parameter;
  values.resize(static_cast<std::size_t>(p.size()));
  for (const GgufPart& part : s.parts) {
    const GgufTensor& t = *f.find(part.name);
    const std::int64_t row_bytes = bytes_of(t.type, part.cols), first = part.offset - p.offset;
    for (int r = 0; r < part.rows; ++r) {
      const std::span<float> row(values.data() + first + std::int64_t{part.our_row(r)} * part.cols,
                                 static_cast<std::size_t>(part.cols));
      copy_as_float(row, t.type,
                    t.bytes.subspan(static_cast<std::size_t>(r * row_bytes),
                                    static_cast<std::size_t>(row_bytes)));
    }
  }
  const auto finite = [](float x) { return std::isfinite(x); };
  if (!std::all_of(values.begin(), values.end(), finite)) refuse_value(f, s.parts[0].name);
  memory.copy_in(to, values.data(), values.size() * sizeof(float));
}

// Where a parameter is now: as floats, or as a packed matrix.
struct Placed {
  const float* floats = nullptr;
  const QuantizedMatrix* matrix = nullptr;
};

class Places {
 public:
  Places(const GgufWeights& g, const Plan& plan) {
    std::size_t matrix = 0;
    for (const Source& s : plan.sources) {
      Placed placed;
      if (s.place >= 0 && s.quantized) placed.matrix = &g.matrices[matrix++];
      if (s.place >= 0 && !s.quantized) {
        placed.floats = static_cast<const float*>(g.floats.data()) + s.place;
      }
      places_.push_back({s.parameter->offset, placed});
    }
  }

  Placed at(std::int64_t offset) const {
    if (offset < 0) return {};
    const auto found = std::find_if(places_.begin(), places_.end(),
                                    [=](const auto& place) { return place.first == offset; });
    return found->second;
  }

  NormWeights<float> norm(std::int64_t weight, std::int64_t bias) const {
    return {at(weight).floats, at(bias).floats};
  }

  Linear<float> linear(std::int64_t weight, std::int64_t bias, int in, int out) const {
    Linear<float> layer{in, out};
    layer.weight = at(weight).floats;
    layer.quantized = at(weight).matrix;
    (layer.quantized != nullptr ? layer.quantized_bias : layer.bias) = at(bias).floats;
    return layer;
  }

 private:
  std::vector<std::pair<std::int64_t, Placed>> places_;
};

ModelWeights<float> view(const GgufWeights& g, const Plan& plan, const ParameterLayout& layout,
                         const GptConfig& c, const Ops<float>& ops, const Memory& memory) {
  const Places places(g, plan);
  ModelWeights<float> w{c, ops, memory};
  w.wte = places.at(layout.wte).floats;
  if (w.wte == nullptr) w.wte_rows = g.file.find("token_embd.weight");
  w.wpe = places.at(layout.wpe).floats;
  for (const BlockOffsets& b : layout.blocks) {
    w.blocks.push_back({places.norm(b.norm1_weight, b.norm1_bias),
                        places.norm(b.norm2_weight, b.norm2_bias),
                        places.linear(b.qkv_weight, b.qkv_bias, c.width, c.qkv_width()),
                        places.linear(b.proj_weight, b.proj_bias, c.width, c.width),
                        places.linear(b.up_weight, b.up_bias, c.width, c.up_width()),
                        places.linear(b.down_weight, b.down_bias, c.hidden, c.width)});
  }
  w.norm_f = places.norm(layout.norm_f_weight, layout.norm_f_bias);
  w.head = places.linear(layout.head, -1, c.width, c.vocab_size);
  link_layers(w);
  w.bytes = g.floats.bytes() + g.packed.bytes();
  if (w.wte_rows != nullptr) w.bytes += static_cast<std::int64_t>(w.wte_rows->bytes.size());
  return w;
}

}  // namespace

std::unique_ptr<GgufWeights> open_gguf_weights(const std::filesystem::path& path,
                                               const Ops<float>& ops, const Memory& memory) {
  auto g = std::make_unique<GgufWeights>();
  g->file = open_gguf(path);
  const GptConfig c = read_gguf_config(g->file);
  const ParameterLayout layout = make_layout(c);
  const Plan plan = make_plan(g->file, layout, c, ops);
  g->floats = DeviceBuffer(memory, plan.floats * std::int64_t{sizeof(float)});
  g->packed = DeviceBuffer(memory, plan.packed);
  g->matrices.reserve(plan.sources.size());  // the view points to them: they must not move
  std::vector<std::byte> rows;
  std::vector<float> values;
  for (const Source& s : plan.sources) {
    if (s.place < 0) continue;
    if (s.quantized) {
      void* to = static_cast<std::byte*>(g->packed.data()) + s.place;
      pack(to, g->file, s, ops, rows);
      g->matrices.push_back({quant_type(s.type), s.parameter->rows, s.parameter->cols, to});
    } else {
      copy_floats(static_cast<float*>(g->floats.data()) + s.place, g->file, s, memory, values);
    }
  }
  g->weights = view(*g, plan, layout, c, ops, memory);
  return g;
}

std::int64_t gguf_weight_bytes(const GgufFile& file, const Ops<float>& ops) {
  const GptConfig c = read_gguf_config(file);
  const ParameterLayout layout = make_layout(c);
  const Plan plan = make_plan(file, layout, c, ops);
  return plan.floats * std::int64_t{sizeof(float)} + plan.packed;
}

void read_embedding_row(std::span<float> out, const GgufTensor& embedding, int token) {
  const auto bytes =
      static_cast<std::size_t>(bytes_of(embedding.type, static_cast<std::int64_t>(out.size())));
  copy_as_float(out, embedding.type,
                embedding.bytes.subspan(static_cast<std::size_t>(token) * bytes, bytes));
}

}  // namespace tinygpt
