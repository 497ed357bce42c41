#include "tinygpt/infer/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/engine_pass.h"
#include "tinygpt/model/bump.h"

namespace tinygpt {
namespace {

template <class Real>
EngineBuffers<Real> plan_buffers(const GptConfig& c, const EngineSettings& s, void* base) {
  Bump bump{static_cast<std::byte*>(base)};
  const std::int64_t R = s.rows, LR = s.logit_rows;
  EngineBuffers<Real> b;
  b.tokens = bump.take<int>(R);
  b.sequence = bump.take<int>(R);
  b.position = bump.take<int>(R);
  b.picked = bump.take<int>(LR);
  b.drawn = bump.take<int>(1);
  if (c.family == Family::llama) {
    b.cosine = bump.take<float>(R * (c.head_size() / 2));
    b.sine = bump.take<float>(R * (c.head_size() / 2));
  }
  b.norm.stream = bump.take<Real>(R * c.width);
  b.norm.out = bump.take<Real>(R * c.width);
  if (c.family == Family::gpt2) b.norm.mean = bump.take<float>(R);
  b.norm.rstd = bump.take<float>(R);
  b.branch = bump.take<Real>(R * c.width);
  b.qkv = bump.take<Real>(R * c.qkv_width());
  b.lse = bump.take<float>(R * c.heads);
  b.att = bump.take<Real>(R * c.width);
  b.up = bump.take<Real>(R * c.up_width());
  b.act = bump.take<Real>(R * c.hidden);
  b.picked_att = bump.take<Real>(LR * c.width);
  b.picked_stream = bump.take<Real>(LR * c.width);
  b.logits = bump.take<Real>(LR * c.vocab_size);
  b.bytes = bump.used;
  return b;
}

// The caches of all layers, one behind the other.
std::vector<KvCache> plan_cache(const GptConfig& c, const EngineSettings& s, Bump& bump) {
  std::vector<KvCache> layers;
  for (int l = 0; l < c.layers; ++l) {
    KvCache cache{s.cache, s.sequences, c.kv_heads, s.capacity, c.head_size()};
    const std::int64_t bytes = cache_rows(cache) * cache.head_size * bytes_of(s.cache);
    cache.k = bump.take<std::byte>(bytes);
    cache.v = bump.take<std::byte>(bytes);
    if (s.cache == CacheType::int8) {
      cache.k_scale = bump.take<float>(cache_rows(cache));
      cache.v_scale = bump.take<float>(cache_rows(cache));
    }
    layers.push_back(cache);
  }
  return layers;
}

template <class Real>
std::int64_t most_scratch(const ModelWeights<Real>& w, const EngineSettings& s) {
  std::int64_t most = 0;
  for (int rows = 1; rows <= s.rows; ++rows) most = std::max(most, pass_scratch(w, s, rows));
  return most * std::int64_t{sizeof(float)};
}

// What a model of this shape looks like to the functions that count: layers without weights.
template <class Real>
ModelWeights<Real> shape_of(const GptConfig& c, const Ops<Real>& ops) {
  ModelWeights<Real> w{c, ops, host_memory()};
  BlockWeights<Real> block;
  block.qkv = {c.width, c.qkv_width()};
  block.proj = {c.width, c.width};
  block.up = {c.width, c.up_width()};
  block.down = {c.hidden, c.width};
  w.blocks.push_back(block);
  w.head = {c.width, c.vocab_size};
  return w;
}

template <class Real>
void make_rope_rows(Engine<Real>& e) {
  const GptConfig& c = e.weights.config;
  if (c.family != Family::llama) return;
  const Memory& memory = e.weights.memory;
  const auto half = static_cast<std::size_t>(c.head_size() / 2);
  const std::size_t n = static_cast<std::size_t>(e.settings.capacity) * half;
  e.cosine.resize(n);
  e.sine.resize(n);
  const auto bytes = static_cast<std::int64_t>(n * sizeof(float));
  const DeviceBuffer cosine(memory, bytes), sine(memory, bytes);
  auto *cos = static_cast<float*>(cosine.data()), *sin = static_cast<float*>(sine.data());
  e.weights.ops.rope_table(cos, sin, e.settings.capacity, c.head_size(), c.rope_base);
  memory.copy_out(e.cosine.data(), cos, n * sizeof(float));
  memory.copy_out(e.sine.data(), sin, n * sizeof(float));
  e.row_cosine.resize(static_cast<std::size_t>(e.settings.rows) * half);
  e.row_sine.resize(e.row_cosine.size());
}

}  // namespace

EngineSettings complete_settings(EngineSettings s, const GptConfig& c) {
  const auto refuse_unless = [](bool ok, const char* name, int value, int low, int high) {
    check(ok, [&] {
      return fmt::format("{} is {}: it must be between {} and {}", name, value, low, high);
    });
  };
  constexpr int kMostSequences = 1 << 16;
  refuse_unless(s.sequences >= 1 && s.sequences <= kMostSequences, "the number of sequences",
                s.sequences, 1, kMostSequences);
  if (s.capacity == 0) s.capacity = c.context_length;
  refuse_unless(s.capacity >= 1 && s.capacity <= c.context_length, "the tokens of a sequence",
                s.capacity, 1, c.context_length);
  constexpr int kMost = 1 << 20;
  if (s.logit_rows == 0) s.logit_rows = s.sequences;
  refuse_unless(s.logit_rows >= 1 && s.logit_rows <= kMost, "the rows of logits", s.logit_rows, 1,
                kMost);
  if (s.rows == 0)
    s.rows = std::max({std::min(s.capacity, kEngineRows), s.sequences, s.logit_rows});
  refuse_unless(s.rows >= 1 && s.rows <= kMost, "the tokens of a pass", s.rows, 1, kMost);
  return s;
}

template <class Real>
EngineLedger engine_ledger(const GptConfig& c, const Ops<Real>& ops,
                           const EngineSettings& settings) {
  const EngineSettings s = complete_settings(settings, c);
  Bump cache;
  plan_cache(c, s, cache);
  EngineLedger ledger;
  ledger.cache = cache.used;
  ledger.activations = plan_buffers<Real>(c, s, nullptr).bytes;
  ledger.scratch = most_scratch(shape_of(c, ops), s);
  ledger.per_token = c.layers * cache_bytes_per_token(s.cache, c.kv_heads, c.head_size());
  ledger.total = ledger.cache + ledger.activations + ledger.scratch;
  return ledger;
}

template <class Real>
Engine<Real> make_engine(const ModelWeights<Real>& weights, const EngineSettings& settings) {
  const GptConfig& c = weights.config;
  check(weights.ops.attention_decode != nullptr && weights.ops.kv_append != nullptr,
        "the chosen kernels have no operators for a key-value cache (group kv_cache): mix them "
        "with others, as in --kernels cpu,softmax=ref");
  Engine<Real> e;
  e.weights = weights;
  e.settings = complete_settings(settings, c);
  const EngineSettings& s = e.settings;
  Bump counted;
  plan_cache(c, s, counted);
  e.cache = DeviceBuffer(weights.memory, counted.used);
  Bump bump{static_cast<std::byte*>(e.cache.data())};
  e.layers = plan_cache(c, s, bump);
  e.arena = DeviceBuffer(weights.memory, plan_buffers<Real>(c, s, nullptr).bytes);
  e.buffers = plan_buffers<Real>(c, s, e.arena.data());
  e.scratch = DeviceBuffer(weights.memory, most_scratch(weights, s));
  e.sequences.resize(static_cast<std::size_t>(s.sequences));
  for (auto& sequence : e.sequences) {
    sequence.tokens.reserve(static_cast<std::size_t>(s.capacity));
  }
  for (std::vector<int>* rows : {&e.tokens, &e.sequence, &e.position}) {
    rows->reserve(static_cast<std::size_t>(s.rows));
  }
  e.segments.reserve(static_cast<std::size_t>(s.rows));
  e.picked.reserve(static_cast<std::size_t>(s.logit_rows));
  e.host_rows.resize(static_cast<std::size_t>(
      std::max(std::int64_t{s.rows} * c.width, std::int64_t{c.vocab_size})));
  e.host_logits.resize(static_cast<std::size_t>(c.vocab_size));
  make_rope_rows(e);
  return e;
}

template <class Real>
int add_sequence(Engine<Real>& e) {
  const auto unused = std::find_if(e.sequences.begin(), e.sequences.end(),
                                   [](const auto& sequence) { return !sequence.used; });
  check(unused != e.sequences.end(), [&] {
    return fmt::format("all {} places for sequences are in use: remove one first",
                       e.sequences.size());
  });
  unused->used = true;
  unused->tokens.clear();
  return static_cast<int>(unused - e.sequences.begin());
}

template <class Real>
std::span<const int> tokens_of(const Engine<Real>& e, int sequence) {
  const bool known = sequence >= 0 && sequence < static_cast<int>(e.sequences.size()) &&
                     e.sequences[static_cast<std::size_t>(sequence)].used;
  check(known, [&] { return fmt::format("there is no sequence {}", sequence); });
  return e.sequences[static_cast<std::size_t>(sequence)].tokens;
}

template <class Real>
void remove_sequence(Engine<Real>& e, int sequence) {
  tokens_of(e, sequence);
  e.sequences[static_cast<std::size_t>(sequence)].used = false;
}

template <class Real>
void truncate(Engine<Real>& e, int sequence, int length) {
  const std::size_t now = tokens_of(e, sequence).size();
  check(length >= 0 && static_cast<std::size_t>(length) <= now, [&] {
    return fmt::format("sequence {} has {} tokens: it cannot be cut to {}", sequence, now, length);
  });
  e.sequences[static_cast<std::size_t>(sequence)].tokens.resize(static_cast<std::size_t>(length));
}

template <class Real>
std::span<const float> logits_of(Engine<Real>& e, int row) {
  check(row >= 0 && row < e.settings.logit_rows,
        [&] { return fmt::format("there is no row {} of logits", row); });
  const auto V = static_cast<std::size_t>(e.weights.config.vocab_size);
  const Real* from =
      e.buffers.logits + static_cast<std::int64_t>(row) * e.weights.config.vocab_size;
  if constexpr (std::is_same_v<Real, float>) {
    if (is_host(e.weights.memory)) return {from, V};
  }
  e.weights.memory.copy_out(e.host_rows.data(), from, V * sizeof(Real));
  std::copy_n(e.host_rows.begin(), V, e.host_logits.begin());
  return e.host_logits;
}

#define TINYGPT_INSTANTIATE(Real)                                                                 \
  template EngineLedger engine_ledger(const GptConfig&, const Ops<Real>&, const EngineSettings&); \
  template Engine<Real> make_engine(const ModelWeights<Real>&, const EngineSettings&);            \
  template int add_sequence(Engine<Real>&);                                                       \
  template void remove_sequence(Engine<Real>&, int);                                              \
  template void truncate(Engine<Real>&, int, int);                                                \
  template std::span<const int> tokens_of(const Engine<Real>&, int);                              \
  template std::span<const float> logits_of(Engine<Real>&, int);
TINYGPT_INSTANTIATE(float)
TINYGPT_INSTANTIATE(Bfloat16)
#undef TINYGPT_INSTANTIATE

}  // namespace tinygpt
