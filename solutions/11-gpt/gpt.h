// Lesson 11: a whole GPT-2, forward and backward.
// Radford et al.: "Language Models are Unsupervised Multitask Learners" (2019), section 2.3.
//
//   stream = wte[tokens] + wpe[0 .. T-1]
//   for each block:  stream = stream + proj(attention(qkv(norm1(stream))))
//                    stream = stream + down(gelu(up(norm2(stream))))
//   logits = norm_f(stream) wte^T
//
// The operators are those of lessons 02 to 10, reached through the table of a Machine: its pointers
// decide whose kernels run, and on which device. Contracts: tinygpt/ops/.
#pragma once

#include <cstdint>

#include "solutions/11-gpt/tensors.h"

namespace tinygpt::ref {

// How many parameters it has; those of the head, which is the embedding table, once.
std::int64_t gpt_parameter_count(const GptShape& s);

// Floating-point operations of a forward pass for one token of a text of T, a multiply-add being
// two, in matrix products and attention. (Norms, GELU and sums are so few that nobody counts them.)
//   linear layer  2 in out
//   attention     q . k and p v: a multiply-add for each channel and each key. A causal query sees
//                 (T + 1) / 2 keys on average.
//   head          a linear layer from C to V
double gpt_flops(const GptShape& s, int T);

// First values, in host memory. Weights and both tables are normal with deviation `deviation`, but
// proj_weight and down_weight, which write to the stream 2 L times, with deviation / sqrt(2 L).
// Biases are 0, the weights of norms 1. No two tensors begin with the same numbers.
void gpt_init(const GptParameters<float>& p, float deviation, std::uint64_t seed,
              const GptShape& s);

// One block for B texts of T tokens, from the stream x [N, C] to a.out.
void block_forward(const BlockActivations& a, const SharedActivations& shared, const float* x,
                   const BlockParameters<const float>& p, int B, int T, const GptShape& s,
                   const Machine& m);

// dstream [N, C]  in: the gradient of a.out; out: the gradient of x
// d               accumulate
void block_backward(float* dstream, const BlockParameters<float>& d,
                    const SharedActivations& shared, const BlockActivations& a, const float* x,
                    const BlockParameters<const float>& p, int B, int T, const GptShape& s,
                    const Machine& m);

// tokens  [B, T]
// targets [B, T]  the token that follows each, or kIgnoreTarget
// Leaves in a.losses [N] each target's loss.
void gpt_forward(const GptActivations& a, const int* tokens, const int* targets,
                 const GptParameters<const float>& p, int B, int T, const GptShape& s,
                 const Machine& m);

// Continues gpt_forward: adds the gradient of the mean loss over the `count` targets that are not
// ignored. count > 0.
// d         accumulate
// a.logits  overwritten by their gradient
void gpt_backward(const GptParameters<float>& d, const GptActivations& a, const int* tokens,
                  const int* targets, int count, const GptParameters<const float>& p, int B, int T,
                  const GptShape& s, const Machine& m);

// The mean of losses [N] over the targets that are not ignored, in host memory; 0 where there are
// none.
float mean_loss(const float* losses, const int* targets, int N);

}  // namespace tinygpt::ref
