// The whole machine: forward and backward, on whatever device the table's kernels run.
#include "exercises/11-gpt/gpt.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <cstdint>

namespace tinygpt::mine {
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
  throw NotImplemented("11.block_forward");
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
  throw NotImplemented("11.block_backward");
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
  throw NotImplemented("11.gpt_forward");
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
  throw NotImplemented("11.gpt_backward");
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

}  // namespace tinygpt::mine
