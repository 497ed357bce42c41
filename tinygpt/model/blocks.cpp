#include "tinygpt/model/blocks.h"

#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/model/pieces.h"

namespace tinygpt {
namespace {

template <class Real>
Linear<Real> linear_at(const Gpt<Real>& model, std::int64_t weight, std::int64_t bias, int in,
                       int out) {
  Linear<Real> layer{in, out};
  layer.weight = model.params() + weight;
  if (bias >= 0) layer.bias = model.params() + bias;
  if (model.purpose == Purpose::training) {
    layer.dweight = model.grads() + weight;
    if (bias >= 0) layer.dbias = model.grads() + bias;
    layer.fresh = model.fresh_gradients;
  }
  attach_adapter(layer, model, weight);
  return layer;
}

template <class Real>
Linear<Real> qkv_layer(const Gpt<Real>& m, int l) {
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(l)];
  return linear_at(m, b.qkv_weight, b.qkv_bias, m.config.width, m.config.qkv_width());
}

template <class Real>
Linear<Real> proj_layer(const Gpt<Real>& m, int l) {
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(l)];
  return linear_at(m, b.proj_weight, b.proj_bias, m.config.width, m.config.width);
}

template <class Real>
Linear<Real> up_layer(const Gpt<Real>& m, int l) {
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(l)];
  return linear_at(m, b.up_weight, b.up_bias, m.config.width, m.config.up_width());
}

template <class Real>
Linear<Real> down_layer(const Gpt<Real>& m, int l) {
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(l)];
  return linear_at(m, b.down_weight, b.down_bias, m.config.hidden, m.config.width);
}

template <class Real>
Linear<Real> head_layer(const Gpt<Real>& m) {
  return linear_at(m, m.layout.head, -1, m.config.width, m.config.vocab_size);
}

template <class Real>
NormWeights<Real> norm_weights(const Gpt<Real>& m, NormOffsets norm) {
  return {m.params() + norm.weight, norm.bias < 0 ? nullptr : m.params() + norm.bias};
}

template <class T>
void zero(const Memory& memory, T* data, std::int64_t n) {
  memory.zero(data, static_cast<std::size_t>(n) * sizeof(T));
}

// Dropout's places along the stream.
int embedding_place() { return 0; }
int attention_place(int l) { return 1 + 2 * l; }
int mlp_place(int l) { return 2 + 2 * l; }

// Each mask of a step has a stream of random numbers of its own. The top bit keeps them apart from
// the streams that data and initialisation draw from under the same seed.
template <class Real>
std::uint64_t dropout_stream(const Gpt<Real>& m, int place) {
  const auto places = static_cast<std::uint64_t>(2 * m.config.layers + 1);
  return (std::uint64_t{1} << 63) + m.dropout_step * places + static_cast<std::uint64_t>(place);
}

template <class Real>
void dropout_forward_in_place(const Pass<Real>& p, Real* x, int place) {
  if (p.dropout == 0) return;
  p.model.ops.dropout_forward(x, x, std::int64_t{p.N} * p.model.config.width, p.dropout,
                              p.model.dropout_seed, dropout_stream(p.model, place));
}

template <class Real>
void dropout_backward_in_place(const Pass<Real>& p, Real* dx, int place) {
  if (p.dropout == 0) return;
  p.model.ops.dropout_backward(dx, dx, std::int64_t{p.N} * p.model.config.width, p.dropout,
                               p.model.dropout_seed, dropout_stream(p.model, place));
}

// stream = before + dropout(branch): the stream's gradient passes on to `before` as it is, in the
// same buffer, and a copy of it goes into the branch. Gives the branch's gradient, which is not to
// be changed: without dropout fused kernels read the stream's own.
template <class Real>
const Real* residual_backward(const Pass<Real>& p, int place) {
  if (p.model.ops.linear_backward_write != nullptr && p.dropout == 0) return p.acts.dstream;
  const std::int64_t n = std::int64_t{p.N} * p.model.config.width;
  zero(p.model.memory, p.acts.dbranch, n);
  p.model.ops.residual_backward(p.acts.dstream, p.acts.dbranch, p.acts.dstream, n);
  dropout_backward_in_place(p, p.acts.dbranch, place);
  return p.acts.dbranch;
}

// out = attention(qkv)
template <class Real>
void attention_backward(const Pass<Real>& p, const BlockActivations<Real>& a) {
  const Gpt<Real>& m = p.model;
  const GptConfig& c = m.config;
  auto* backward = m.ops.attention_backward_write;
  if (backward == nullptr) {
    zero(m.memory, p.acts.dqkv, std::int64_t{p.N} * c.qkv_width());
    backward = m.ops.attention_backward;
  }
  backward(p.acts.dqkv, p.acts.datt, a.att, a.lse, a.qkv, p.scratch, p.B, p.T, c.heads, c.kv_heads,
           c.head_size(), true);
}

}  // namespace

template <class Real>
void embed_forward(const Pass<Real>& p) {
  const Gpt<Real>& m = p.model;
  Real* x = p.acts.blocks[0].norm1.stream;
  const int C = m.config.width;
  m.ops.embedding_forward(x, p.acts.tokens, m.params() + m.layout.wte, p.N, C, m.config.vocab_size);
  if (m.layout.wpe >= 0) {
    m.ops.learned_positions_forward(x, x, m.params() + m.layout.wpe, p.B, p.T, C, 0);
  }
  dropout_forward_in_place(p, x, embedding_place());
}

template <class Real>
void embed_backward(const Pass<Real>& p) {
  const Gpt<Real>& m = p.model;
  if (m.purpose == Purpose::adapting) return;  // the embeddings are frozen, and nothing is before
  Real* dx = p.acts.dstream;
  const int C = m.config.width;
  dropout_backward_in_place(p, dx, embedding_place());
  if (m.layout.wpe >= 0) {
    m.ops.learned_positions_backward(m.grads() + m.layout.wpe, dx, p.B, p.T, C, 0);
  }
  // A tied head has added its gradient to the same table before: this accumulates on top.
  m.ops.embedding_backward(m.grads() + m.layout.wte, dx, p.acts.tokens, p.N, C,
                           m.config.vocab_size);
}

template <class Real>
void attention_branch_forward(const Pass<Real>& p, int l) {
  const Gpt<Real>& m = p.model;
  const GptConfig& c = m.config;
  const BlockActivations<Real>& a = p.acts.blocks[static_cast<std::size_t>(l)];
  linear_forward(m.ops, qkv_layer(m, l), a.qkv, a.norm1.out, p.scratch, p.N);
  if (c.family == Family::llama) {
    m.ops.rope_forward(a.qkv, p.acts.cosine, p.acts.sine, p.B, p.T, c.heads + c.kv_heads,
                       c.head_size(), c.qkv_width(), 0);
  }
  m.ops.attention_forward(a.att, a.lse, a.qkv, p.scratch, p.B, p.T, c.heads, c.kv_heads,
                          c.head_size(), true);
  linear_forward(m.ops, proj_layer(m, l), p.acts.branch, a.att, p.scratch, p.N);
  dropout_forward_in_place(p, p.acts.branch, attention_place(l));
}

template <class Real>
void attention_branch_backward(const Pass<Real>& p, int l) {
  const Gpt<Real>& m = p.model;
  const GptConfig& c = m.config;
  const BlockActivations<Real>& a = p.acts.blocks[static_cast<std::size_t>(l)];
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(l)];
  // stream = before + branch
  const Real* dbranch = residual_backward(p, attention_place(l));
  // branch = proj(att)
  linear_backward_write(m.ops, proj_layer(m, l), m.memory, p.acts.datt, dbranch, a.att, p.scratch,
                        p.N);
  // att = attention(rope(qkv)); a.qkv is the turned one, and so dqkv is turned back after.
  attention_backward(p, a);
  if (c.family == Family::llama) {
    m.ops.rope_backward(p.acts.dqkv, p.acts.cosine, p.acts.sine, p.B, p.T, c.heads + c.kv_heads,
                        c.head_size(), c.qkv_width(), 0);
  }
  // qkv = linear(norm1(before)); the branch's gradient is used up, so its buffer serves again.
  linear_backward_write(m.ops, qkv_layer(m, l), m.memory, p.acts.dbranch, p.acts.dqkv, a.norm1.out,
                        p.scratch, p.N);
  norm_backward(p, a.norm1, {b.norm1_weight, b.norm1_bias});
}

template <class Real>
void mlp_branch_forward(const Pass<Real>& p, int l) {
  const Gpt<Real>& m = p.model;
  const BlockActivations<Real>& a = p.acts.blocks[static_cast<std::size_t>(l)];
  mlp_forward(m.ops, m.config, up_layer(m, l), down_layer(m, l), p.acts.branch, a.up, a.act,
              a.norm2.out, p.scratch, p.N);
  dropout_forward_in_place(p, p.acts.branch, mlp_place(l));
}

template <class Real>
void mlp_branch_backward(const Pass<Real>& p, int l) {
  const Gpt<Real>& m = p.model;
  const GptConfig& c = m.config;
  const BlockActivations<Real>& a = p.acts.blocks[static_cast<std::size_t>(l)];
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(l)];
  // stream = before + branch
  const Real* dbranch = residual_backward(p, mlp_place(l));
  // branch = down(act), act = gelu(up) or silu(gate) * up
  const Linear<Real> down = down_layer(m, l);
  if (c.family == Family::gpt2) {
    linear_backward_write(m.ops, down, m.memory, p.acts.dup, dbranch, a.act, p.scratch, p.N, a.up,
                          p.acts.dact);
  } else {
    linear_backward_write(m.ops, down, m.memory, p.acts.dact, dbranch, a.act, p.scratch, p.N);
    zero(m.memory, p.acts.dup, std::int64_t{p.N} * c.up_width());
    m.ops.swiglu_backward(p.acts.dup, p.acts.dact, a.up, p.N, c.hidden);
  }
  // up = linear(norm2(before)); the branch's gradient is used up, so its buffer serves again.
  linear_backward_write(m.ops, up_layer(m, l), m.memory, p.acts.dbranch, p.acts.dup, a.norm2.out,
                        p.scratch, p.N);
  norm_backward(p, a.norm2, {b.norm2_weight, b.norm2_bias});
}

template <class Real>
void norm_forward(const Pass<Real>& p, const NormActivations<Real>& place, NormOffsets norm) {
  const Gpt<Real>& m = p.model;
  norm_forward(m.ops, m.config, place, norm_weights(m, norm), p.N);
}

template <class Real>
void residual_norm_forward(const Pass<Real>& p, const NormActivations<Real>& place,
                           const NormActivations<Real>& before, NormOffsets norm) {
  const Gpt<Real>& m = p.model;
  residual_norm_forward<Real>(m.ops, m.config, place, before.stream, p.acts.branch,
                              norm_weights(m, norm), p.N);
}

template <class Real>
void norm_backward(const Pass<Real>& p, const NormActivations<Real>& place, NormOffsets norm) {
  const Gpt<Real>& m = p.model;
  const int C = m.config.width;
  const Real* weight = m.params() + norm.weight;
  float *dweight = nullptr, *dbias = nullptr;
  if (m.purpose == Purpose::adapting) {  // frozen, but the operator makes them all the same
    dweight = static_cast<float*>(m.adapter->discarded.data());
  } else {
    dweight = m.grads() + norm.weight;
    if (norm.bias >= 0) dbias = m.grads() + norm.bias;
  }
  if (m.config.family == Family::gpt2) {
    m.ops.layernorm_backward(p.acts.dstream, dweight, dbias, p.acts.dbranch, place.stream, weight,
                             place.mean, place.rstd, p.scratch, p.N, C);
  } else {
    m.ops.rmsnorm_backward(p.acts.dstream, dweight, p.acts.dbranch, place.stream, weight,
                           place.rstd, p.scratch, p.N, C);
  }
}

template <class Real>
void head_forward(const Pass<Real>& p, int first_row, int rows) {
  const Gpt<Real>& m = p.model;
  const Real* x = p.acts.norm_f.out + std::int64_t{first_row} * m.config.width;
  linear_forward(m.ops, head_layer(m), p.acts.logits, x, p.scratch, rows);
}

template <class Real>
void head_backward(const Pass<Real>& p) {
  const Gpt<Real>& m = p.model;
  // logits = head(norm_f(stream))
  linear_backward_write(m.ops, head_layer(m), m.memory, p.acts.dbranch, p.acts.logits,
                        p.acts.norm_f.out, p.scratch, p.N);
  zero(m.memory, p.acts.dstream, std::int64_t{p.N} * m.config.width);
  norm_backward(p, p.acts.norm_f, {m.layout.norm_f_weight, m.layout.norm_f_bias});
}

template void embed_forward(const Pass<float>&);
template void embed_backward(const Pass<float>&);
template void attention_branch_forward(const Pass<float>&, int);
template void attention_branch_backward(const Pass<float>&, int);
template void mlp_branch_forward(const Pass<float>&, int);
template void mlp_branch_backward(const Pass<float>&, int);
template void norm_forward(const Pass<float>&, const NormActivations<float>&, NormOffsets);
template void residual_norm_forward(const Pass<float>&, const NormActivations<float>&,
                                    const NormActivations<float>&, NormOffsets);
template void norm_backward(const Pass<float>&, const NormActivations<float>&, NormOffsets);
template void head_forward(const Pass<float>&, int, int);
template void head_backward(const Pass<float>&);

template void embed_forward(const Pass<Bfloat16>&);
template void embed_backward(const Pass<Bfloat16>&);
template void attention_branch_forward(const Pass<Bfloat16>&, int);
template void attention_branch_backward(const Pass<Bfloat16>&, int);
template void mlp_branch_forward(const Pass<Bfloat16>&, int);
template void mlp_branch_backward(const Pass<Bfloat16>&, int);
template void norm_forward(const Pass<Bfloat16>&, const NormActivations<Bfloat16>&, NormOffsets);
template void residual_norm_forward(const Pass<Bfloat16>&, const NormActivations<Bfloat16>&,
                                    const NormActivations<Bfloat16>&, NormOffsets);
template void norm_backward(const Pass<Bfloat16>&, const NormActivations<Bfloat16>&, NormOffsets);
template void head_forward(const Pass<Bfloat16>&, int, int);
template void head_backward(const Pass<Bfloat16>&);

}  // namespace tinygpt
