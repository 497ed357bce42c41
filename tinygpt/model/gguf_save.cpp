#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "solutions/21-quantization/quantize.h"
#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/float16.h"
#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gguf_names.h"
#include "tinygpt/text/bpe_alphabet.h"

namespace tinygpt {
namespace {

using Settings = std::map<std::string, GgufValue>;

GgufValue count(int n) { return GgufValue::u32(static_cast<std::uint32_t>(n)); }

// llama.cpp's number for "most tensors are of this type".
int file_type(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return 0;
    case GgufType::f16:
      return 1;
    case GgufType::q4_0:
      return 2;
    case GgufType::q8_0:
      return 7;
    case GgufType::bf16:
      return 32;
  }
  return 0;
}

void add_config(Settings& s, const GptConfig& c) {
  const bool llama = c.family == Family::llama;
  const std::string arch = llama ? "llama" : "gpt2";
  s["general.architecture"] = GgufValue::text(arch);
  s[arch + ".context_length"] = count(c.context_length);
  s[arch + ".embedding_length"] = count(c.width);
  s[arch + ".block_count"] = count(c.layers);
  s[arch + ".feed_forward_length"] = count(c.hidden);
  s[arch + ".attention.head_count"] = count(c.heads);
  s[arch + ".vocab_size"] = count(c.vocab_size);
  if (!llama) {
    s[arch + ".attention.layer_norm_epsilon"] = GgufValue::f32(c.norm_eps);
    return;
  }
  s[arch + ".attention.head_count_kv"] = count(c.kv_heads);
  s[arch + ".attention.layer_norm_rms_epsilon"] = GgufValue::f32(c.norm_eps);
  s[arch + ".rope.dimension_count"] = count(c.head_size());
  s[arch + ".rope.freq_base"] = GgufValue::f32(c.rope_base);
}

// Kinds of token in the file.
constexpr int kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

void add_tokenizer(Settings& s, const Tokenizer& t, const GptConfig& c) {
  check(t.kind != TokenizerKind::character,
        "export: GGUF has no name for a character tokenizer; train with --tokenizer bpe or byte");
  check(t.pre_split || t.merges.empty(),
        "export: GGUF has no name for a bpe tokenizer that merges across words");
  const auto tokens = static_cast<int>(t.vocabulary.size());
  check(tokens <= c.vocab_size, [&] {
    return fmt::format("export: the tokenizer has {} tokens, and the model only {}", tokens,
                       c.vocab_size);
  });
  GgufValue::Strings texts;
  std::vector<int> types(static_cast<std::size_t>(c.vocab_size), kNormal);
  for (const std::string& bytes : t.vocabulary) texts.push_back(spell_bytes(bytes));
  for (int id = tokens; id < c.vocab_size; ++id) {
    texts.push_back(fmt::format("[unused {}]", id));
    types[static_cast<std::size_t>(id)] = kUnused;
  }
  for (const SpecialToken& special : t.special_tokens) {
    const auto id = static_cast<std::size_t>(special.id);
    texts[id] = special.content;
    types[id] = special.is_control ? kControl : kUserDefined;
  }
  GgufValue::Strings merges;
  for (const Merge& m : t.merges) {
    merges.push_back(spell_bytes(t.vocabulary[static_cast<std::size_t>(m.left)]) + " " +
                     spell_bytes(t.vocabulary[static_cast<std::size_t>(m.right)]));
  }
  s["tokenizer.ggml.model"] = GgufValue::text("gpt2");
  s["tokenizer.ggml.pre"] = GgufValue::text(t.split_digits ? "smollm" : "gpt-2");
  s["tokenizer.ggml.tokens"] = GgufValue::texts(std::move(texts));
  s["tokenizer.ggml.token_type"] = GgufValue::i32s(types);
  s["tokenizer.ggml.merges"] = GgufValue::texts(std::move(merges));
  s["tokenizer.ggml.add_bos_token"] = GgufValue::boolean(false);
  s["tokenizer.ggml.add_space_prefix"] = GgufValue::boolean(t.add_prefix_space);
  if (c.bos_token >= 0) s["tokenizer.ggml.bos_token_id"] = count(c.bos_token);
  if (c.eos_token >= 0) s["tokenizer.ggml.eos_token_id"] = count(c.eos_token);
}

template <class Narrow>
void write_rounded(const float* row, int n, const Sink& sink) {
  const std::vector<Narrow> rounded(row, row + n);
  sink(rounded.data(), rounded.size() * sizeof(Narrow));
}

template <class Block>
void write_blocks(void quantize(Block*, const float*, std::int64_t), const float* row, int n,
                  const Sink& sink) {
  std::vector<Block> blocks(static_cast<std::size_t>(n / kQuantBlock));
  quantize(blocks.data(), row, n);
  sink(blocks.data(), blocks.size() * sizeof(Block));
}

void write_row(GgufType type, const float* row, int n, const Sink& sink) {
  switch (type) {
    case GgufType::f32:
      return sink(row, static_cast<std::size_t>(n) * sizeof(float));
    case GgufType::f16:
      return write_rounded<Float16>(row, n, sink);
    case GgufType::bf16:
      return write_rounded<Bfloat16>(row, n, sink);
    case GgufType::q8_0:
      return write_blocks(ref::quantize_q8_0, row, n, sink);
    case GgufType::q4_0:
      return write_blocks(ref::quantize_q4_0, row, n, sink);
  }
}

// The matrix that `part` is made of, where it has been quantized already.
const EncodedMatrix* find_encoded(const EncodedMatrices& encoded, const ParameterLayout& layout,
                                  const GgufPart& part, std::int64_t& first_row) {
  for (const Parameter& p : layout.parameters) {
    if (part.offset < p.offset || part.offset >= p.offset + p.size()) continue;
    const auto found = encoded.find(p.name);
    if (found == encoded.end()) return nullptr;
    const EncodedMatrix& matrix = found->second;
    check(static_cast<std::int64_t>(matrix.bytes.size()) == bytes_of(matrix.type, p.size()), [&] {
      return fmt::format("export: {}: {} bytes where {} x {} values in {} take {}", p.name,
                         matrix.bytes.size(), p.rows, p.cols, type_name(matrix.type),
                         bytes_of(matrix.type, p.size()));
    });
    first_row = (part.offset - p.offset) / p.cols;
    return &matrix;
  }
  return nullptr;
}

GgufSource encoded_source(const GgufPart& part, const EncodedMatrix& matrix,
                          std::int64_t first_row) {
  const auto row_bytes = static_cast<std::size_t>(bytes_of(matrix.type, part.cols));
  return {part.name, part.shape(), matrix.type, [=, &matrix](const Sink& sink) {
            for (int r = 0; r < part.rows; ++r) {
              const auto row = static_cast<std::size_t>(first_row + part.our_row(r));
              sink(matrix.bytes.data() + row * row_bytes, row_bytes);
            }
          }};
}

}  // namespace

void save_gguf(const Gpt<float>& model, const Tokenizer& tokenizer, const std::string& name,
               GgufType type, const std::filesystem::path& path, const EncodedMatrices& encoded) {
  Settings settings;
  add_config(settings, model.config);
  add_tokenizer(settings, tokenizer, model.config);
  settings["general.name"] = GgufValue::text(name);
  settings["general.file_type"] = count(file_type(type));
  settings["general.quantization_version"] = GgufValue::u32(2);
  Buffer<float> values(model.layout.total);
  model.memory.copy_out(values.data(), model.params(), values.span().size_bytes());
  std::vector<GgufSource> sources;
  for (const GgufPart& part : gguf_parts(model.layout, model.config)) {
    std::int64_t first_row = 0;
    if (const EncodedMatrix* m = find_encoded(encoded, model.layout, part, first_row)) {
      sources.push_back(encoded_source(part, *m, first_row));
      continue;
    }
    const GgufType kept = part.matrix ? type : GgufType::f32;
    check(part.cols % block_of(kept) == 0, [&] {
      return fmt::format(
          "export: {} has rows of {} values, and {} needs multiples of 32: choose "
          "f16, or train a model of another width",
          part.name, part.cols, type_name(kept));
    });
    sources.push_back({part.name, part.shape(), kept, [part, kept, &values](const Sink& sink) {
                         for (int r = 0; r < part.rows; ++r) {
                           const auto row = std::int64_t{part.our_row(r)} * part.cols;
                           write_row(kept, values.data() + part.offset + row, part.cols, sink);
                         }
                       }});
  }
  write_gguf(path, settings, sources);
}

}  // namespace tinygpt
