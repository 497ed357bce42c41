#include "tinygpt/model/gguf_model.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::testing;
using tinygpt::test::TemporaryFolder;

namespace {

// The tiny shapes, with the vocabulary of a tokenizer and rows of whole blocks.
GptConfig config_of(Family family, int vocab_size) {
  GptConfig c = family == Family::llama ? tiny_llama() : tiny_gpt2();
  c.vocab_size = vocab_size;
  c.width = 64;
  c.hidden = 96;
  c.heads = 4;
  c.kv_heads = family == Family::llama ? 2 : 4;
  c.rope_base = family == Family::llama ? 5000.0f : 10000.0f;
  c.eos_token = vocab_size - 1;
  return c;
}

Tokenizer some_tokenizer() {
  const std::vector<std::string> end = {"<|endoftext|>"};
  return train_bpe_tokenizer("the cat and the hat, the cat; \xe7\x8c\xab the rat", 270, end);
}

Gpt<float> random_model(const GptConfig& config, std::uint64_t seed) {
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, 9);
  randomize_parameters(model, seed);
  return model;
}

Gpt<float> loaded(const GgufFile& file) {
  Gpt<float> model =
      make_gpt(read_gguf_config(file), cpu::ops(), host_memory(), Purpose::inference, 1, 9);
  load_gguf(model, file);
  return model;
}

// The largest difference of any parameter.
double difference(const Gpt<float>& a, const Gpt<float>& b) {
  double worst = 0;
  REQUIRE(a.layout.total == b.layout.total);
  for (const Parameter& p : a.layout.parameters) {
    for (std::int64_t i = 0; i < p.size(); ++i) {
      worst =
          std::max(worst, std::fabs(double{a.params()[p.offset + i]} - b.params()[p.offset + i]));
    }
  }
  return worst;
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "it was accepted";
}

}  // namespace

TEST_CASE("a model and its tokenizer come back from a gguf file") {
  const TemporaryFolder folder;
  Tokenizer tokenizer = some_tokenizer();
  const int vocab_size = static_cast<int>(tokenizer.vocabulary.size()) + 3;
  for (const Family family : {Family::gpt2, Family::llama}) {
    tokenizer.split_digits = family == Family::llama;  // as GPT-2's, and as SmolLM's
    const Gpt<float> model = random_model(config_of(family, vocab_size), 5);
    struct Kept {
      GgufType type;
      double allowed;  // values are around 0.2, at most about 1
    };
    for (const Kept kept :
         {Kept{GgufType::f32, 0}, Kept{GgufType::f16, 1e-3}, Kept{GgufType::bf16, 8e-3},
          Kept{GgufType::q8_0, 6e-3}, Kept{GgufType::q4_0, 0.15}}) {
      INFO("family " << static_cast<int>(family) << ", " << type_name(kept.type));
      save_gguf(model, tokenizer, "tiny", kept.type, folder / "m.gguf");
      const GgufFile file = open_gguf(folder / "m.gguf");
      GptConfig expected = model.config;
      expected.init_std = GptConfig{}.init_std;  // not kept in such a file
      CHECK(read_gguf_config(file) == expected);
      const double worst = difference(loaded(file), model);
      CHECK(worst <= kept.allowed);
      if (kept.type != GgufType::f32) CHECK(worst > 0);
      CHECK(file.find("token_embd.weight")->type == kept.type);
      CHECK(file.find("output_norm.weight")->type == GgufType::f32);
    }
    const Tokenizer back = read_gguf_tokenizer(open_gguf(folder / "m.gguf"));
    CHECK(back.vocabulary == tokenizer.vocabulary);
    CHECK(back.merges == tokenizer.merges);
    CHECK(back.special_tokens == tokenizer.special_tokens);
    CHECK(back.split_digits == tokenizer.split_digits);
    CHECK(encode(back, "the cat<|endoftext|>") == encode(tokenizer, "the cat<|endoftext|>"));
  }
}

TEST_CASE("llama's q and k stand in the file with the two halves of each head in turn") {
  const TemporaryFolder folder;
  const GptConfig c = config_of(Family::llama, 300);
  Gpt<float> model = random_model(c, 6);
  const BlockOffsets& block = model.layout.blocks[1];
  for (int r = 0; r < c.qkv_width(); ++r) {
    for (int i = 0; i < c.width; ++i) {
      model.params()[block.qkv_weight + std::int64_t{r} * c.width + i] = static_cast<float>(r);
    }
  }
  save_gguf(model, byte_tokenizer(), "tiny", GgufType::f32, folder / "m.gguf");
  const GgufFile file = open_gguf(folder / "m.gguf");
  const auto first_column = [&](const char* name) {
    const GgufTensor& t = *file.find(name);
    std::vector<float> all(static_cast<std::size_t>(t.size())), column;
    copy_as_float(all, t);
    for (std::size_t i = 0; i < all.size(); i += static_cast<std::size_t>(c.width)) {
      column.push_back(all[i]);
    }
    return column;
  };
  const std::vector<float> q = first_column("blk.1.attn_q.weight");
  CHECK(std::vector<float>(q.begin(), q.begin() + 4) == std::vector<float>{0, 8, 1, 9});
  CHECK(q[16] == 16);  // the second head
  CHECK(q[17] == 24);
  CHECK(first_column("blk.1.attn_k.weight")[1] == 64 + 8);
  CHECK(first_column("blk.1.attn_v.weight")[1] == 96 + 1);
}

TEST_CASE("models that gguf cannot hold are refused, and an old file stays") {
  const TemporaryFolder folder;
  const Gpt<float> narrow = random_model(tiny_gpt2(), 7);
  const auto save = [&](const Gpt<float>& model, const Tokenizer& t, GgufType type) {
    return refusal([&] { save_gguf(model, t, "tiny", type, folder / "m.gguf"); });
  };
  CHECK_THAT(save(narrow, train_char_tokenizer("abc"), GgufType::f32),
             ContainsSubstring("character tokenizer"));
  CHECK_THAT(save(narrow, byte_tokenizer(), GgufType::f32), ContainsSubstring("has 256 tokens"));
  GptConfig c = tiny_gpt2();
  c.vocab_size = 256;
  CHECK_THAT(save(random_model(c, 8), byte_tokenizer(), GgufType::q8_0),
             ContainsSubstring("multiples of 32"));
  CHECK(!std::filesystem::exists(folder / "m.gguf"));
}

TEST_CASE("a gguf file whose settings and tensors disagree is refused by name") {
  const TemporaryFolder folder;
  const Gpt<float> model = random_model(config_of(Family::llama, 256), 9);
  save_gguf(model, byte_tokenizer(), "tiny", GgufType::f32, folder / "m.gguf");
  // The file once more, with one setting changed or one tensor left out.
  const auto with = [&](const std::string& key, GgufValue value, const std::string& without = "") {
    const GgufFile good = open_gguf(folder / "m.gguf");
    std::map<std::string, GgufValue> settings = good.settings;
    settings[key] = std::move(value);
    std::vector<GgufSource> sources;
    for (const GgufTensor& t : good.tensors) {
      if (t.name == without) continue;
      sources.push_back({t.name, t.shape, t.type,
                         [&t](const Sink& sink) { sink(t.bytes.data(), t.bytes.size()); }});
    }
    write_gguf(folder / "bad.gguf", settings, sources);
    return refusal([&] {
      const GgufFile bad = open_gguf(folder / "bad.gguf");
      read_gguf_config(bad);
      read_gguf_tokenizer(bad);
    });
  };
  const auto u32 = [](std::uint32_t n) { return GgufValue::u32(n); };
  CHECK(with("general.name", GgufValue::text("x")) == "it was accepted");
  CHECK_THAT(with("general.architecture", GgufValue::text("mamba")), ContainsSubstring("mamba"));
  CHECK_THAT(with("llama.block_count", u32(3)), ContainsSubstring("no tensor blk.2."));
  CHECK_THAT(with("llama.block_count", u32(4000)), ContainsSubstring("only"));
  CHECK_THAT(with("llama.block_count", u32(1)), ContainsSubstring("no place"));
  CHECK_THAT(with("llama.feed_forward_length", u32(128)), ContainsSubstring("shape"));
  CHECK_THAT(with("llama.attention.head_count", u32(3)), ContainsSubstring("bad.gguf"));
  CHECK_THAT(with("llama.rope.scaling.type", GgufValue::text("yarn")),
             ContainsSubstring("llama.rope.scaling.type"));
  CHECK_THAT(with("llama.expert_count", u32(8)), ContainsSubstring("llama.expert_count"));
  CHECK_THAT(with("tokenizer.ggml.model", GgufValue::text("llama")),
             ContainsSubstring("byte-level"));
  CHECK_THAT(with("tokenizer.ggml.merges", GgufValue::texts({"a zz"})),
             ContainsSubstring("is no token"));
  CHECK_THAT(with("tokenizer.ggml.bos_token_id", u32(256)), ContainsSubstring("bos_token_id"));
  CHECK_THAT(with("a", u32(1), "output_norm.weight"), ContainsSubstring("output_norm.weight"));
}
