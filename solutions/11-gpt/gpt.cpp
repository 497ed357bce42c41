// The whole machine: forward and backward, on whatever device the table's kernels run.
#include "solutions/11-gpt/gpt.h"

#include <cstdint>

namespace tinygpt::ref {
namespace {

// Gradients accumulate, so a gradient that is made anew begins at zero. The tensors may lie on a
// device: no loop of the host can reach them.
void zero(float* x, std::int64_t n, const Machine& m) {
  m.memory.zero(x, static_cast<std::size_t>(n) * sizeof(float));
}

}  // namespace

//   mid = x + proj(attention(qkv(norm1(x))))
//   out = mid + down(gelu(up(norm2(mid))))
//
// Each bracket goes to its place in a; what proj and down give goes to shared.branch, from where
// residual_forward adds it to the stream. Attention is causal, with NH key-value heads of C / NH
// channels each. m.scratch is every operator's scratch.
void block_forward(const BlockActivations& a, const SharedActivations& shared, const float* x,
                   const BlockParameters<const float>& p, int B, int T, const GptShape& s,
                   const Machine& m) {
  // your code: 11.block_forward
  const Ops<float>& ops = m.ops;
  const int N = B * T, C = s.C, H = 4 * C, HS = C / s.NH;
  const std::int64_t n = std::int64_t{N} * C;
  ops.layernorm_forward(a.norm1, a.mean1, a.rstd1, x, p.norm1_weight, p.norm1_bias, N, C, s.eps);
  ops.linear_forward(a.qkv, a.norm1, p.qkv_weight, p.qkv_bias, m.scratch, N, C, 3 * C);
  ops.attention_forward(a.att, a.lse, a.qkv, m.scratch, B, T, s.NH, s.NH, HS, true);
  ops.linear_forward(shared.branch, a.att, p.proj_weight, p.proj_bias, m.scratch, N, C, C);
  ops.residual_forward(a.mid, x, shared.branch, n);

  ops.layernorm_forward(a.norm2, a.mean2, a.rstd2, a.mid, p.norm2_weight, p.norm2_bias, N, C,
                        s.eps);
  ops.linear_forward(a.up, a.norm2, p.up_weight, p.up_bias, m.scratch, N, C, H);
  ops.gelu_forward(a.act, a.up, std::int64_t{N} * H);
  ops.linear_forward(shared.branch, a.act, p.down_weight, p.down_bias, m.scratch, N, H, C);
  ops.residual_forward(a.out, a.mid, shared.branch, n);
  // end of your code
}

// Differentiates, from the end:
//   out = mid + down(gelu(up(norm2(mid))))
//   mid = x + proj(attention(qkv(norm1(x))))
//
// A sum passes its gradient on to both sides. So dstream, the gradient of out, is the gradient of
// what down gave, too; and what comes out of the branch at norm2 is added to it: then it is the
// gradient of mid. layernorm_backward accumulates, which is that addition.
void block_backward(float* dstream, const BlockParameters<float>& d,
                    const SharedActivations& shared, const BlockActivations& a, const float* x,
                    const BlockParameters<const float>& p, int B, int T, const GptShape& s,
                    const Machine& m) {
  // your code: 11.block_backward
  const Ops<float>& ops = m.ops;
  const int N = B * T, C = s.C, H = 4 * C, HS = C / s.NH;
  const std::int64_t n = std::int64_t{N} * C;
  const auto& [branch, dnorm, dqkv, datt, dup, dact] = shared;
  // out = mid + down(act)
  zero(dact, 4 * n, m);
  ops.linear_backward(dact, d.down_weight, d.down_bias, dstream, a.act, p.down_weight, m.scratch, N,
                      H, C);
  // act = gelu(up)
  zero(dup, 4 * n, m);
  ops.gelu_backward(dup, dact, a.up, 4 * n);
  // up = linear(norm2)
  zero(dnorm, n, m);
  ops.linear_backward(dnorm, d.up_weight, d.up_bias, dup, a.norm2, p.up_weight, m.scratch, N, C, H);
  // norm2 = norm(mid)
  ops.layernorm_backward(dstream, d.norm2_weight, d.norm2_bias, dnorm, a.mid, p.norm2_weight,
                         a.mean2, a.rstd2, m.scratch, N, C);
  // mid = x + proj(att)
  zero(datt, n, m);
  ops.linear_backward(datt, d.proj_weight, d.proj_bias, dstream, a.att, p.proj_weight, m.scratch, N,
                      C, C);
  // att = attention(qkv)
  zero(dqkv, 3 * n, m);
  ops.attention_backward(dqkv, datt, a.att, a.lse, a.qkv, m.scratch, B, T, s.NH, s.NH, HS, true);
  // qkv = linear(norm1)
  zero(dnorm, n, m);
  ops.linear_backward(dnorm, d.qkv_weight, d.qkv_bias, dqkv, a.norm1, p.qkv_weight, m.scratch, N, C,
                      3 * C);
  // norm1 = norm(x)
  ops.layernorm_backward(dstream, d.norm1_weight, d.norm1_bias, dnorm, x, p.norm1_weight, a.mean1,
                         a.rstd1, m.scratch, N, C);
  // end of your code
}

//   embedded = wte[tokens] + wpe[0 .. T-1]
//   blocks, each from the stream that the one before it left
//   logits = norm_f(stream) wte^T        no bias
//   losses, lse = cross-entropy(logits, targets)
void gpt_forward(const GptActivations& a, const int* tokens, const int* targets,
                 const GptParameters<const float>& p, int B, int T, const GptShape& s,
                 const Machine& m) {
  // your code: 11.gpt_forward
  const Ops<float>& ops = m.ops;
  const int N = B * T, C = s.C;
  ops.embedding_forward(a.embedded, tokens, p.wte, N, C, s.V);
  ops.learned_positions_forward(a.embedded, a.embedded, p.wpe, B, T, C, 0);
  const float* stream = a.embedded;
  for (std::size_t l = 0; l < a.blocks.size(); ++l) {
    block_forward(a.blocks[l], a.shared, stream, p.blocks[l], B, T, s, m);
    stream = a.blocks[l].out;
  }
  ops.layernorm_forward(a.norm_f, a.mean_f, a.rstd_f, stream, p.norm_f_weight, p.norm_f_bias, N, C,
                        s.eps);
  ops.linear_forward(a.logits, a.norm_f, p.wte, nullptr, m.scratch, N, C, s.V);
  ops.cross_entropy_forward(a.losses, a.lse, a.logits, targets, N, s.V);
  // end of your code
}

// Differentiates, from the end:
//   losses, lse = cross-entropy(logits, targets)      each counts 1 / count: the mean
//   logits = norm_f(stream) wte^T
//   blocks
//   embedded = wte[tokens] + wpe[0 .. T-1]
//
// wte serves twice, as head and as embedding: both uses add to d.wte. The gradient of the logits
// may take their place (softmax_cross_entropy_backward allows it).
void gpt_backward(const GptParameters<float>& d, const GptActivations& a, const int* tokens,
                  const int* targets, int count, const GptParameters<const float>& p, int B, int T,
                  const GptShape& s, const Machine& m) {
  // your code: 11.gpt_backward
  const Ops<float>& ops = m.ops;
  const int N = B * T, C = s.C;
  const std::int64_t n = std::int64_t{N} * C;
  const auto stream_into = [&](std::size_t l) { return l == 0 ? a.embedded : a.blocks[l - 1].out; };
  const float scale = 1.0f / static_cast<float>(count);
  ops.softmax_cross_entropy_backward(a.logits, a.logits, a.lse, targets, N, s.V, scale);
  zero(a.shared.dnorm, n, m);
  ops.linear_backward(a.shared.dnorm, d.wte, nullptr, a.logits, a.norm_f, p.wte, m.scratch, N, C,
                      s.V);
  zero(a.dstream, n, m);
  ops.layernorm_backward(a.dstream, d.norm_f_weight, d.norm_f_bias, a.shared.dnorm,
                         stream_into(a.blocks.size()), p.norm_f_weight, a.mean_f, a.rstd_f,
                         m.scratch, N, C);
  for (std::size_t l = a.blocks.size(); l-- > 0;) {
    block_backward(a.dstream, d.blocks[l], a.shared, a.blocks[l], stream_into(l), p.blocks[l], B, T,
                   s, m);
  }
  ops.learned_positions_backward(d.wpe, a.dstream, B, T, C, 0);
  ops.embedding_backward(d.wte, a.dstream, tokens, N, C, s.V);
  // end of your code
}

float mean_loss(const float* losses, const int* targets, int N) {
  double sum = 0.0;
  int count = 0;
  for (int n = 0; n < N; ++n) {
    if (targets[n] == kIgnoreTarget) continue;
    sum += losses[n];
    ++count;
  }
  return count == 0 ? 0.0f : static_cast<float>(sum / count);
}

}  // namespace tinygpt::ref
