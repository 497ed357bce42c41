#include "tinygpt/model/activations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/bump.h"

namespace tinygpt {
namespace {

// For inference the head makes this many logits at once (16 MB of floats), not all of them.
constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 22;

template <class Real>
NormActivations<Real> take_norm(Bump& bump, const GptConfig& c, std::int64_t N) {
  NormActivations<Real> norm;
  norm.stream = bump.take<Real>(N * c.width);
  norm.out = bump.take<Real>(N * c.width);
  if (c.family == Family::gpt2) norm.mean = bump.take<float>(N);
  norm.rstd = bump.take<float>(N);
  return norm;
}

template <class Real>
BlockActivations<Real> take_block(Bump& bump, const GptConfig& c, std::int64_t N) {
  BlockActivations<Real> block;
  block.norm1 = take_norm<Real>(bump, c, N);
  block.qkv = bump.take<Real>(N * c.qkv_width());
  block.lse = bump.take<float>(N * c.heads);
  block.att = bump.take<Real>(N * c.width);
  block.norm2 = take_norm<Real>(bump, c, N);
  block.up = bump.take<Real>(N * c.up_width());
  block.act = bump.take<Real>(N * c.hidden);
  return block;
}

// The branch's two halves never live together, nor does the MLP with the attention.
template <class Real>
BlockActivations<Real> take_shared_block(Bump& bump, const GptConfig& c, std::int64_t N) {
  BlockActivations<Real> block;
  block.norm1 = block.norm2 = take_norm<Real>(bump, c, N);
  const std::int64_t start = bump.used;
  block.qkv = bump.take<Real>(N * c.qkv_width());
  block.lse = bump.take<float>(N * c.heads);
  block.att = bump.take<Real>(N * c.width);
  const std::int64_t end = bump.used;
  bump.used = start;
  block.up = bump.take<Real>(N * c.up_width());
  block.act = bump.take<Real>(N * c.hidden);
  bump.used = std::max(bump.used, end);
  return block;
}

// Logits and their gradient are gone before the first block's gradient is made, and a block's
// attention and MLP take turns: one region serves all three.
template <class Real>
void take_gradients(Activations<Real>& a, Bump& bump, const GptConfig& c, std::int64_t N) {
  a.dstream = bump.take<Real>(N * c.width);
  a.dbranch = a.branch;
  const std::int64_t start = bump.used;
  a.logits = bump.take<Real>(N * c.vocab_size);
  std::int64_t end = bump.used;
  bump.used = start;
  a.dqkv = bump.take<Real>(N * c.qkv_width());
  a.datt = bump.take<Real>(N * c.width);
  end = std::max(end, bump.used);
  bump.used = start;
  a.dup = bump.take<Real>(N * c.up_width());
  a.dact = bump.take<Real>(N * c.hidden);
  bump.used = std::max(end, bump.used);
}

}  // namespace

int token_count(int B, int T) {
  check(B >= 1 && T >= 1 && T <= std::numeric_limits<int>::max() / B, [&] {
    return fmt::format(
        "a batch of {} sequences of {} tokens: both must be at least 1, and their "
        "product below 2^31",
        B, T);
  });
  return B * T;
}

template <class Real>
Activations<Real> plan_activations(const GptConfig& c, Purpose purpose, int B, int T, void* base) {
  Bump bump{static_cast<std::byte*>(base)};
  const std::int64_t N = token_count(B, T);
  Activations<Real> a;
  a.tokens = bump.take<int>(N);
  a.targets = bump.take<int>(N);
  a.losses = bump.take<float>(N);
  a.lse = bump.take<float>(N);
  if (c.family == Family::llama) {
    a.cosine = bump.take<float>(std::int64_t{T} * (c.head_size() / 2));
    a.sine = bump.take<float>(std::int64_t{T} * (c.head_size() / 2));
  }
  a.branch = bump.take<Real>(N * c.width);
  if (purpose != Purpose::inference) {
    for (int l = 0; l < c.layers; ++l) a.blocks.push_back(take_block<Real>(bump, c, N));
    a.norm_f = take_norm<Real>(bump, c, N);
    a.logit_rows = static_cast<int>(N);
    take_gradients(a, bump, c, N);
  } else {
    a.blocks.assign(static_cast<std::size_t>(c.layers), take_shared_block<Real>(bump, c, N));
    a.norm_f = a.blocks[0].norm1;
    a.logit_rows =
        static_cast<int>(std::min(N, std::max<std::int64_t>(1, kLogitsAtOnce / c.vocab_size)));
    a.logits = bump.take<Real>(std::int64_t{a.logit_rows} * c.vocab_size);
  }
  a.bytes = bump.used;
  return a;
}

template <class Real>
std::int64_t scratch_floats(const GptConfig& c, const Ops<Real>& ops, Purpose purpose, int B, int T,
                            int logit_rows) {
  const int N = token_count(B, T);
  std::int64_t most = ops.attention_scratch_size(B, T, c.heads, c.kv_heads, c.head_size());
  const auto allow_linear = [&](int rows, int in, int out) {
    most = std::max(most, ops.linear_scratch_size(rows, in, out));
  };
  allow_linear(N, c.width, c.qkv_width());
  allow_linear(N, c.width, c.width);
  allow_linear(N, c.width, c.up_width());
  allow_linear(N, c.hidden, c.width);
  for (const int rows : {1, std::min(T, logit_rows), std::min(N, logit_rows)}) {
    allow_linear(rows, c.width, c.vocab_size);
  }
  if (purpose != Purpose::inference) {
    const bool gpt2 = c.family == Family::gpt2;
    const NormScratchSize* size = gpt2 ? ops.layernorm_scratch_size : ops.rmsnorm_scratch_size;
    most = std::max(most, size(N, c.width));
  }
  return most;
}

template Activations<float> plan_activations<float>(const GptConfig&, Purpose, int, int, void*);
template std::int64_t scratch_floats<float>(const GptConfig&, const Ops<float>&, Purpose, int, int,
                                            int);
template Activations<Bfloat16> plan_activations<Bfloat16>(const GptConfig&, Purpose, int, int,
                                                          void*);
template std::int64_t scratch_floats<Bfloat16>(const GptConfig&, const Ops<Bfloat16>&, Purpose, int,
                                               int, int);

}  // namespace tinygpt
