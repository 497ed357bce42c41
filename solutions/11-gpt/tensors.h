// Lesson 11: the shape of a GPT-2 and its tensors, as plain structs of pointers. All of it is
// given.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tinygpt/ops/ops.h"

namespace tinygpt {

// The five numbers that make a GPT-2. Its MLP is 4 C wide, and its head is its embedding table.
struct GptShape {
  int V = 0;      // tokens of the vocabulary
  int max_T = 0;  // the longest text that it can read
  int L = 0;      // blocks
  int NH = 0;     // heads of each; a divisor of C
  int C = 0;      // channels of the residual stream
  float eps = 1e-5f;
};

// The parameters of one block (T is const float), or their gradients (T is float).
template <class T>
struct BlockParameters {
  T *norm1_weight = nullptr, *norm1_bias = nullptr;  // [C], [C]
  T *qkv_weight = nullptr, *qkv_bias = nullptr;      // [3 C, C], [3 C]
  T *proj_weight = nullptr, *proj_bias = nullptr;    // [C, C], [C]
  T *norm2_weight = nullptr, *norm2_bias = nullptr;  // [C], [C]
  T *up_weight = nullptr, *up_bias = nullptr;        // [4 C, C], [4 C]
  T *down_weight = nullptr, *down_bias = nullptr;    // [C, 4 C], [C]
};

template <class T>
struct GptParameters {
  T* wte = nullptr;  // [V, C]; the token embedding, and the head
  T* wpe = nullptr;  // [max_T, C]
  std::vector<BlockParameters<T>> blocks;
  T *norm_f_weight = nullptr, *norm_f_bias = nullptr;  // [C], [C]
};

// What the forward pass of one block leaves for its backward pass. N = B T.
struct BlockActivations {
  float *norm1 = nullptr, *mean1 = nullptr, *rstd1 = nullptr;  // [N, C], [N], [N]
  float *qkv = nullptr, *lse = nullptr;                        // [N, 3 C], [B, NH, T]
  float* att = nullptr;                                        // [N, C]
  float* mid = nullptr;  // [N, C]; the stream after the attention
  float *norm2 = nullptr, *mean2 = nullptr, *rstd2 = nullptr;  // [N, C], [N], [N]
  float *up = nullptr, *act = nullptr;                         // [N, 4 C], [N, 4 C]
  float* out = nullptr;                                        // [N, C]; the stream after the MLP
};

// Room that all blocks use in turn. Nothing in it outlives a block.
struct SharedActivations {
  float* branch = nullptr;                 // [N, C]; what a branch adds to the stream
  float* dnorm = nullptr;                  // [N, C]; gradients of norm1, norm2, norm_f
  float *dqkv = nullptr, *datt = nullptr;  // [N, 3 C], [N, C]
  float *dup = nullptr, *dact = nullptr;   // [N, 4 C], [N, 4 C]
};

struct GptActivations {
  float* embedded = nullptr;  // [N, C]; the stream at its source
  std::vector<BlockActivations> blocks;
  float *norm_f = nullptr, *mean_f = nullptr, *rstd_f = nullptr;  // [N, C], [N], [N]
  float* logits = nullptr;                                        // [N, V]
  float *losses = nullptr, *lse = nullptr;                        // [N], [N]
  float* dstream = nullptr;  // [N, C]; the gradient of the stream, on its way back
  SharedActivations shared;
};

// What computes, and in which memory: a table of operators and the memory that its pointers point
// into. With the host's memory, ops are the CPU's; with a device's, the device's.
struct Machine {
  Ops<float> ops;
  Memory memory;
  float* scratch = nullptr;  // gpt_scratch_floats(...) floats
};

// The parameters (or the gradients) in one buffer, one behind the other in the order above.
template <class T>
GptParameters<T> gpt_parameters(T* base, const GptShape& s) {
  const std::int64_t C = s.C;
  const auto take = [&base](std::int64_t n) {
    T* const here = base;
    base += n;
    return here;
  };
  GptParameters<T> p;
  p.wte = take(s.V * C);
  p.wpe = take(s.max_T * C);
  for (int l = 0; l < s.L; ++l) {
    BlockParameters<T>& b = p.blocks.emplace_back();
    b.norm1_weight = take(C), b.norm1_bias = take(C);
    b.qkv_weight = take(3 * C * C), b.qkv_bias = take(3 * C);
    b.proj_weight = take(C * C), b.proj_bias = take(C);
    b.norm2_weight = take(C), b.norm2_bias = take(C);
    b.up_weight = take(4 * C * C), b.up_bias = take(4 * C);
    b.down_weight = take(C * 4 * C), b.down_bias = take(C);
  }
  p.norm_f_weight = take(C), p.norm_f_bias = take(C);
  return p;
}

// The activations of B texts of T tokens in one buffer. With base == nullptr nothing has an
// address, and *floats says how large the buffer must be.
inline GptActivations gpt_activations(std::int64_t* floats, float* base, int B, int T,
                                      const GptShape& s) {
  const std::int64_t N = std::int64_t{B} * T, n = N * s.C;
  std::int64_t used = 0;
  const auto take = [&](std::int64_t count) {
    float* const here = base == nullptr ? nullptr : base + used;
    used += (count + 15) / 16 * 16;  // whole cache lines
    return here;
  };
  GptActivations a;
  a.embedded = take(n);
  for (int l = 0; l < s.L; ++l) {
    BlockActivations& b = a.blocks.emplace_back();
    b.norm1 = take(n), b.mean1 = take(N), b.rstd1 = take(N);
    b.qkv = take(3 * n), b.lse = take(N * s.NH), b.att = take(n), b.mid = take(n);
    b.norm2 = take(n), b.mean2 = take(N), b.rstd2 = take(N);
    b.up = take(4 * n), b.act = take(4 * n), b.out = take(n);
  }
  a.norm_f = take(n), a.mean_f = take(N), a.rstd_f = take(N);
  a.logits = take(N * s.V), a.losses = take(N), a.lse = take(N);
  a.dstream = take(n);
  SharedActivations& r = a.shared;
  r.branch = take(n), r.dnorm = take(n), r.dqkv = take(3 * n), r.datt = take(n);
  r.dup = take(4 * n), r.dact = take(4 * n);
  *floats = used;
  return a;
}

// Scratch for the hungriest operator of a pass.
inline std::int64_t gpt_scratch_floats(const Ops<float>& ops, int B, int T, const GptShape& s) {
  const int N = B * T, C = s.C;
  return std::max({ops.attention_scratch_size(B, T, s.NH, s.NH, C / s.NH),
                   ops.layernorm_scratch_size(N, C), ops.linear_scratch_size(N, C, 3 * C),
                   ops.linear_scratch_size(N, C, C), ops.linear_scratch_size(N, C, 4 * C),
                   ops.linear_scratch_size(N, 4 * C, C), ops.linear_scratch_size(N, C, s.V)});
}

}  // namespace tinygpt
