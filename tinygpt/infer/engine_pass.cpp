// One pass of the engine: embeddings, blocks over the cache, head.
#include "tinygpt/infer/engine_pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// Some rows of a pass, at most settings.rows.
template <class Real>
struct Piece {
  Engine<Real>& e;
  const ModelWeights<Real>& w;
  const GptConfig& c;
  const Ops<Real>& ops;
  const EngineBuffers<Real>& b;
  std::span<const EngineSegment> segments;
  int N;
  float* scratch;
};

template <class Real>
std::int64_t linear_scratch(const ModelWeights<Real>& w, const Linear<Real>& layer, int rows) {
  if (layer.quantized != nullptr) return w.ops.quantized_scratch_size(rows, layer.out, layer.in);
  return w.ops.linear_scratch_size(rows, layer.in, layer.out);
}

template <class T>
void copy_in(const Memory& memory, T* device, const std::vector<T>& host, std::size_t n) {
  memory.copy_in(device, host.data(), n * sizeof(T));
}

// Rows of the token embedding: where the weights are, or from the mapped file, row by row.
template <class Real>
void embed_tokens(const Piece<Real>& p) {
  const int C = p.c.width;
  if (p.w.wte != nullptr) {
    p.ops.embedding_forward(p.b.norm.stream, p.b.tokens, p.w.wte, p.N, C, p.c.vocab_size);
    return;
  }
  if constexpr (std::is_same_v<Real, float>) {
    for (int n = 0; n < p.N; ++n) {
      const std::span<float> to(p.e.host_rows.data() + std::int64_t{n} * C,
                                static_cast<std::size_t>(C));
      read_embedding_row(to, *p.w.wte_rows, p.e.tokens[static_cast<std::size_t>(n)]);
    }
    copy_in(p.w.memory, p.b.norm.stream, p.e.host_rows,
            static_cast<std::size_t>(p.N) * static_cast<std::size_t>(C));
  }
}

// The rows' angles, each of its own position, gathered from the table of all.
template <class Real>
void gather_angles(const Piece<Real>& p) {
  const std::int64_t half = p.c.head_size() / 2;
  for (int n = 0; n < p.N; ++n) {
    const std::int64_t from = p.e.position[static_cast<std::size_t>(n)] * half;
    std::copy_n(p.e.cosine.data() + from, half, p.e.row_cosine.data() + n * half);
    std::copy_n(p.e.sine.data() + from, half, p.e.row_sine.data() + n * half);
  }
  const std::size_t values = static_cast<std::size_t>(p.N) * static_cast<std::size_t>(half);
  copy_in(p.w.memory, p.b.cosine, p.e.row_cosine, values);
  copy_in(p.w.memory, p.b.sine, p.e.row_sine, values);
}

template <class Real>
void embed(const Piece<Real>& p) {
  const auto N = static_cast<std::size_t>(p.N);
  copy_in(p.w.memory, p.b.tokens, p.e.tokens, N);
  copy_in(p.w.memory, p.b.sequence, p.e.sequence, N);
  copy_in(p.w.memory, p.b.position, p.e.position, N);
  embed_tokens(p);
  if (p.c.family == Family::llama) return gather_angles(p);
  for (const EngineSegment& s : p.segments) {
    Real* x = p.b.norm.stream + std::int64_t{s.row} * p.c.width;
    p.ops.learned_positions_forward(x, x, p.w.wpe, 1, s.count, p.c.width, s.start);
  }
}

// A text that begins needs no cache to look back into: that is the attention of training. Everybody
// else looks into the cache, in one call for neighbouring rows.
template <class Real>
void attend(const Piece<Real>& p, const KvCache& cache) {
  const GptConfig& c = p.c;
  const auto att = [&](int row) { return p.b.att + std::int64_t{row} * c.width; };
  const auto qkv = [&](int row) { return p.b.qkv + std::int64_t{row} * c.qkv_width(); };
  for (std::size_t i = 0; i < p.segments.size();) {
    const EngineSegment& first = p.segments[i];
    if (first.start == 0 && first.count > 1) {
      p.ops.attention_forward(att(first.row), p.b.lse, qkv(first.row), p.scratch, 1, first.count,
                              c.heads, c.kv_heads, c.head_size(), true);
      ++i;
      continue;
    }
    int count = 0, longest = 0;
    for (; i < p.segments.size(); ++i) {
      const EngineSegment& s = p.segments[i];
      if (s.start == 0 && s.count > 1) break;
      count += s.count;
      longest = std::max(longest, s.start + s.count);
    }
    p.ops.attention_decode(att(first.row), qkv(first.row), cache, p.b.sequence + first.row,
                           p.b.position + first.row, p.scratch, count, c.heads, longest);
  }
}

// The rows whose logits are wanted: all that the last block has to finish.
template <class Real>
struct Picked {
  const Real* att;
  NormActivations<Real> norm;
  int count;
};

template <class Real>
Picked<Real> pick_rows(const Piece<Real>& p) {
  const std::vector<int>& rows = p.e.picked;
  const int count = static_cast<int>(rows.size()), C = p.c.width;
  Picked<Real> picked{p.b.att, p.b.norm, count};
  if (rows.back() - rows.front() == count - 1) {  // neighbours
    picked.att += std::int64_t{rows.front()} * C;
    picked.norm.stream += std::int64_t{rows.front()} * C;
    return picked;
  }
  copy_in(p.w.memory, p.b.picked, rows, rows.size());
  // Gathering rows is what an embedding does.
  p.ops.embedding_forward(p.b.picked_att, p.b.picked, p.b.att, count, C, p.N);
  p.ops.embedding_forward(p.b.picked_stream, p.b.picked, p.b.norm.stream, count, C, p.N);
  picked.att = p.b.picked_att;
  picked.norm.stream = p.b.picked_stream;
  return picked;
}

// Runs the piece; `logits` [picked rows, V] is written.
template <class Real>
void run_piece(const Piece<Real>& p, Real* logits) {
  const GptConfig& c = p.c;
  embed(p);
  norm_forward(p.ops, c, p.b.norm, p.w.blocks[0].norm1, p.N);
  Picked<Real> rows{p.b.att, p.b.norm, p.N};
  for (std::size_t l = 0; l < p.w.blocks.size(); ++l) {
    const BlockWeights<Real>& block = p.w.blocks[l];
    const KvCache& cache = p.e.layers[l];
    const bool last = l + 1 == p.w.blocks.size();
    linear_forward(p.ops, block.qkv, p.b.qkv, p.b.norm.out, p.scratch, p.N);
    if (c.family == Family::llama) {
      p.ops.rope_forward(p.b.qkv, p.b.cosine, p.b.sine, 1, p.N, c.heads + c.kv_heads, c.head_size(),
                         c.qkv_width(), 0);
    }
    p.ops.kv_append(cache, p.b.qkv, p.b.sequence, p.b.position, p.N, c.heads);
    if (last && p.e.picked.empty()) return;  // all that is wanted is in the cache
    attend(p, cache);
    if (last) rows = pick_rows(p);
    linear_forward(p.ops, block.proj, p.b.branch, rows.att, p.scratch, rows.count);
    residual_norm_forward<Real>(p.ops, c, rows.norm, rows.norm.stream, p.b.branch, block.norm2,
                                rows.count);
    mlp_forward<Real>(p.ops, c, block.up, block.down, p.b.branch, p.b.up, p.b.act, rows.norm.out,
                      p.scratch, rows.count);
    const NormWeights<Real>& next = last ? p.w.norm_f : p.w.blocks[l + 1].norm1;
    residual_norm_forward<Real>(p.ops, c, rows.norm, rows.norm.stream, p.b.branch, next,
                                rows.count);
  }
  linear_forward<Real>(p.ops, p.w.head, logits, rows.norm.out, p.scratch, rows.count);
}

template <class Real, class Pass>
void keep_awake(const ModelWeights<Real>& w, int N, const Pass& pass) {
  if (w.ops.keep_awake == nullptr) return pass();
  w.ops.keep_awake([](void* p) { (*static_cast<const Pass*>(p))(); }, const_cast<Pass*>(&pass), N,
                   N * w.multiplications);
}

template <class Real>
void check_inputs(Engine<Real>& e, std::span<const SequenceInput> inputs) {
  std::int64_t logits = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const SequenceInput& input = inputs[i];
    const auto length = static_cast<std::int64_t>(tokens_of(e, input.sequence).size());
    const auto count = static_cast<std::int64_t>(input.tokens.size());
    check(count >= 1, "a pass: there must be at least one token for each sequence");
    check(length + count <= e.settings.capacity, [&] {
      return fmt::format(
          "sequence {} has {} tokens and room for {}: {} more do not fit (a shorter prompt, fewer "
          "--max-tokens, or --context slide)",
          input.sequence, length, e.settings.capacity, count);
    });
    for (const int token : input.tokens) {
      check(token >= 0 && token < e.weights.config.vocab_size, [&] {
        return fmt::format("there is no token {}: the model has {}", token,
                           e.weights.config.vocab_size);
      });
    }
    for (std::size_t k = 0; k < i; ++k) {
      check(inputs[k].sequence != input.sequence, "a pass: a sequence may be there once at most");
    }
    if (input.logits != WantLogits::none) logits += input.logits == WantLogits::last ? 1 : count;
  }
  check(logits <= e.settings.logit_rows, [&] {
    return fmt::format("a pass: {} rows of logits are wanted, and there is room for {}", logits,
                       e.settings.logit_rows);
  });
}

}  // namespace

template <class Real>
std::int64_t pass_scratch(const ModelWeights<Real>& w, const EngineSettings& s, int rows) {
  const GptConfig& c = w.config;
  const BlockWeights<Real>& block = w.blocks[0];
  const int heads = std::min(rows, s.logit_rows);
  return std::max(
      {w.ops.attention_scratch_size(1, rows, c.heads, c.kv_heads, c.head_size()),
       w.ops.attention_decode_scratch_size(rows, c.heads, c.kv_heads, c.head_size(), s.capacity),
       linear_scratch(w, block.qkv, rows), linear_scratch(w, block.proj, rows),
       linear_scratch(w, block.up, rows), linear_scratch(w, block.down, rows),
       linear_scratch(w, block.proj, heads), linear_scratch(w, block.up, heads),
       linear_scratch(w, block.down, heads), linear_scratch(w, w.head, heads)});
}

template <class Real>
int run(Engine<Real>& e, std::span<const SequenceInput> inputs) {
  check_inputs(e, inputs);
  std::vector<EngineSegment>& segments = e.segments;
  int done = 0;  // rows of logits
  const auto start_piece = [&] {
    segments.clear();
    for (std::vector<int>* rows : {&e.tokens, &e.sequence, &e.position, &e.picked}) rows->clear();
  };
  const auto finish_piece = [&] {
    const int N = static_cast<int>(e.tokens.size());
    if (N == 0) return;
    const std::int64_t bytes = pass_scratch(e.weights, e.settings, N) * std::int64_t{sizeof(float)};
    // Only where the number of threads has grown since the engine was made.
    if (bytes > e.scratch.bytes()) e.scratch = DeviceBuffer(e.weights.memory, bytes);
    const Piece<Real> piece{e,
                            e.weights,
                            e.weights.config,
                            e.weights.ops,
                            e.buffers,
                            segments,
                            N,
                            static_cast<float*>(e.scratch.data())};
    Real* const logits = e.buffers.logits + std::int64_t{done} * e.weights.config.vocab_size;
    keep_awake(e.weights, N, [&] { run_piece(piece, logits); });
    done += static_cast<int>(e.picked.size());
    start_piece();
  };
  start_piece();
  for (const SequenceInput& input : inputs) {
    std::vector<int>& text = e.sequences[static_cast<std::size_t>(input.sequence)].tokens;
    for (std::size_t t = 0; t < input.tokens.size(); ++t) {
      const int row = static_cast<int>(e.tokens.size()), length = static_cast<int>(text.size());
      if (t == 0 || row == 0) segments.push_back({row, 0, length});
      segments.back().count += 1;
      e.tokens.push_back(input.tokens[t]);
      e.sequence.push_back(input.sequence);
      e.position.push_back(length);
      text.push_back(input.tokens[t]);
      const bool wanted = input.logits == WantLogits::all ||
                          (input.logits == WantLogits::last && t + 1 == input.tokens.size());
      if (wanted) e.picked.push_back(row);
      if (row + 1 == e.settings.rows) finish_piece();
    }
  }
  finish_piece();
  return done;
}

template std::int64_t pass_scratch(const ModelWeights<float>&, const EngineSettings&, int);
template std::int64_t pass_scratch(const ModelWeights<Bfloat16>&, const EngineSettings&, int);
template int run(Engine<float>&, std::span<const SequenceInput>);
template int run(Engine<Bfloat16>&, std::span<const SequenceInput>);

}  // namespace tinygpt
