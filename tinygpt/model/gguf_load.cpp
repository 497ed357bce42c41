#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gguf_names.h"
#include "tinygpt/text/bpe_alphabet.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

constexpr std::int64_t kMost = 1 << 30;

[[noreturn]] void fail(const GgufFile& f, const std::string& what) {
  throw Error(fmt::format("{}: {}", f.name, what));
}

int integer(const GgufFile& f, const std::string& key, int low = 1) {
  return static_cast<int>(f.integer(key, low, kMost));
}

// Settings that change what is computed and have no counterpart here.
void refuse_unknown_computation(const GgufFile& f, const std::string& arch, const GptConfig& c) {
  const auto refuse = [&](const std::string& key, bool differs) {
    if (differs) fail(f, fmt::format("{} asks for something that is not implemented", key));
  };
  const std::string scaling = arch + ".rope.scaling.type";
  refuse(scaling, f.has(scaling) && f.text(scaling) != "none");
  for (const char* name : {".expert_count", ".attention.sliding_window"}) {
    refuse(arch + name, f.has(arch + name) && integer(f, arch + name, 0) != 0);
  }
  for (const char* name :
       {".rope.dimension_count", ".attention.key_length", ".attention.value_length"}) {
    refuse(arch + name, f.has(arch + name) && integer(f, arch + name) != c.head_size());
  }
}

int token_id(const GgufFile& f, const std::string& key, int vocab_size) {
  return f.has(key) ? static_cast<int>(f.integer(key, 0, vocab_size - 1)) : -1;
}

template <class T>
const T& list(const GgufFile& f, const std::string& key, const char* what) {
  const auto found = f.settings.find(key);
  if (found == f.settings.end()) fail(f, "has no setting " + key);
  const auto* values = std::get_if<T>(&found->second.value);
  if (values == nullptr) fail(f, fmt::format("the setting {} must be a list of {}", key, what));
  return *values;
}

const GgufValue::Strings& tokens_of(const GgufFile& f) {
  return list<GgufValue::Strings>(f, "tokenizer.ggml.tokens", "texts");
}

// The ids of a merge's halves and of the whole.
Merge read_merge(const GgufFile& f, const std::unordered_map<std::string, int>& ids,
                 const std::string& text) {
  const std::size_t space = text.find(' ', 1);
  const auto id_of = [&](const std::string& token) {
    const auto found = ids.find(token);
    if (found == ids.end()) {
      fail(f, fmt::format("the merge {} has a part that is no token", quote_for_message(text)));
    }
    return found->second;
  };
  if (space == std::string::npos) {
    fail(f, fmt::format("the merge {} is not two tokens", quote_for_message(text)));
  }
  const std::string left = text.substr(0, space), right = text.substr(space + 1);
  return {id_of(left), id_of(right), id_of(left + right)};
}

// That the file has these tensors in these shapes, and no others.
void check_tensors(const GgufFile& f, const std::vector<GgufPart>& parts) {
  std::set<std::string> known;
  for (const GgufPart& part : parts) {
    known.insert(part.name);
    const GgufTensor* found = f.find(part.name);
    if (found == nullptr) fail(f, "has no tensor " + part.name);
    if (found->shape != part.shape()) {
      fail(f, fmt::format("tensor {} has the shape [{}] instead of [{}]", part.name,
                          fmt::join(found->shape, ", "), fmt::join(part.shape(), ", ")));
    }
  }
  for (const GgufTensor& t : f.tensors) {
    if (known.count(t.name) == 0) {
      fail(f,
           fmt::format("tensor {} has no place in this architecture", quote_for_message(t.name)));
    }
  }
}

}  // namespace

GptConfig read_gguf_config(const GgufFile& f) {
  const std::string& arch = f.text("general.architecture");
  if (arch != "gpt2" && arch != "llama") {
    fail(f, fmt::format("the architecture is {}; gpt2 and llama are implemented",
                        quote_for_message(arch)));
  }
  GptConfig c;
  c.family = arch == "llama" ? Family::llama : Family::gpt2;
  c.vocab_size = static_cast<int>(std::min<std::size_t>(tokens_of(f).size(), kMost));
  c.context_length = integer(f, arch + ".context_length");
  c.width = integer(f, arch + ".embedding_length");
  c.layers = integer(f, arch + ".block_count");
  c.hidden = integer(f, arch + ".feed_forward_length");
  c.heads = integer(f, arch + ".attention.head_count");
  c.kv_heads = c.heads;
  c.tied_head = f.find("output.weight") == nullptr;
  if (c.family == Family::llama) {
    const std::string kv = arch + ".attention.head_count_kv", base = arch + ".rope.freq_base";
    if (f.has(kv)) c.kv_heads = integer(f, kv);
    if (f.has(base)) c.rope_base = static_cast<float>(f.number(base));
    c.norm_eps = static_cast<float>(f.number(arch + ".attention.layer_norm_rms_epsilon"));
  } else {
    c.norm_eps = static_cast<float>(f.number(arch + ".attention.layer_norm_epsilon"));
  }
  c.bos_token = token_id(f, "tokenizer.ggml.bos_token_id", c.vocab_size);
  c.eos_token = token_id(f, "tokenizer.ggml.eos_token_id", c.vocab_size);
  try {
    check_config(c);
  } catch (const Error& e) {
    fail(f, e.what());
  }
  refuse_unknown_computation(f, arch, c);
  // Before anybody makes room for what the settings promise.
  if (static_cast<std::size_t>(c.layers) > f.tensors.size()) {
    fail(f, fmt::format("{} layers are promised, and there are only {} tensors", c.layers,
                        f.tensors.size()));
  }
  check_tensors(f, gguf_parts(make_layout(c), c));
  return c;
}

Tokenizer read_gguf_tokenizer(const GgufFile& f) {
  constexpr int kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;
  if (f.text("tokenizer.ggml.model") != "gpt2") {
    fail(f, fmt::format("the tokenizer is {}; byte-level BPE (gpt2) is implemented",
                        quote_for_message(f.text("tokenizer.ggml.model"))));
  }
  const std::string split =
      f.has("tokenizer.ggml.pre") ? f.text("tokenizer.ggml.pre") : std::string("gpt-2");
  if (split != "gpt-2" && split != "smollm") {
    fail(f,
         fmt::format("text is split before merging as for {}; gpt-2's way and smollm's, with each "
                     "digit alone, are implemented",
                     quote_for_message(split)));
  }
  const auto& texts = tokens_of(f);
  const auto& types = list<GgufValue::Integers>(f, "tokenizer.ggml.token_type", "integers");
  const auto& merges = list<GgufValue::Strings>(f, "tokenizer.ggml.merges", "texts");
  if (types.size() != texts.size()) fail(f, "tokens and token types differ in number");
  Tokenizer t;
  t.kind = merges.empty() ? TokenizerKind::byte : TokenizerKind::bpe;
  t.split_digits = split == "smollm" && t.kind == TokenizerKind::bpe;
  std::unordered_map<std::string, int> ids;
  std::size_t used = texts.size();
  while (used > 0 && types[used - 1] == kUnused) --used;
  for (std::size_t i = 0; i < used; ++i) {
    const int id = static_cast<int>(i);
    if (types[i] == kControl || types[i] == kUserDefined) {
      t.vocabulary.push_back(texts[i]);
      t.special_tokens.push_back({texts[i], id, types[i] == kControl});
      continue;
    }
    const auto bytes = types[i] == kNormal ? unspell_bytes(texts[i]) : std::nullopt;
    if (!bytes) {
      fail(f, fmt::format("token {}, {}, stands for no bytes", id, quote_for_message(texts[i])));
    }
    t.vocabulary.push_back(*bytes);
    ids.emplace(texts[i], id);
  }
  for (const std::string& merge : merges) t.merges.push_back(read_merge(f, ids, merge));
  const std::string prefix = "tokenizer.ggml.add_space_prefix";
  if (f.has(prefix)) {
    const auto* value = std::get_if<bool>(&f.settings.at(prefix).value);
    if (value == nullptr) fail(f, "the setting " + prefix + " must be a truth value");
    t.add_prefix_space = *value;
  }
  try {
    index_tokenizer(t);
  } catch (const Error& e) {
    fail(f, e.what());
  }
  return t;
}

void load_gguf(Gpt<float>& model, const GgufFile& f) {
  const std::vector<GgufPart> parts = gguf_parts(model.layout, model.config);
  check_tensors(f, parts);
  Buffer<float> values(model.layout.total);
  std::fill_n(values.data(), values.size(), 0.0f);  // the padding between tensors stays zero
  std::vector<float> tensor;
  for (const GgufPart& part : parts) {
    tensor.resize(static_cast<std::size_t>(part.size()));
    copy_as_float(tensor, *f.find(part.name));
    if (!std::all_of(tensor.begin(), tensor.end(), [](float x) { return std::isfinite(x); })) {
      fail(f, fmt::format("tensor {} holds a value that is not finite", part.name));
    }
    for (int r = 0; r < part.rows; ++r) {
      std::copy_n(tensor.data() + std::int64_t{r} * part.cols, part.cols,
                  values.data() + part.offset + std::int64_t{part.our_row(r)} * part.cols);
    }
  }
  model.memory.copy_in(model.params(), values.data(), values.span().size_bytes());
}

}  // namespace tinygpt
