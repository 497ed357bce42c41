// Lesson 08: attention over several heads.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// Hides the future: scores[n, t, u] becomes -infinity wherever key u comes after query t, so that
// its probability will be 0. All other scores stay as they are.
//
// scores [N, T, T]: changed in place; N matrices, row t: the scores of query t, column u: of key u
void causal_mask(float* scores, int N, int T);

// Where the query, key and value that head h works with begin in a token's row of qkv, HS values
// each. A row holds NH queries, then NKV keys, then NKV values:
//
//   q[0] ... q[NH - 1]   k[0] ... k[NKV - 1]   v[0] ... v[NKV - 1]
//
// Neighbouring query heads form a group, NH / NKV of them, that shares a key and a value: heads
// 0 .. NH / NKV - 1 use k[0] and v[0], the next as many use k[1] and v[1], and so on.
struct HeadOffsets {
  int q, k, v;
};
HeadOffsets head_offsets(int h, int NH, int NKV, int HS);

// Contracts: tinygpt/ops/attention.h.
void multihead_attention_forward(float* out, float* lse, const float* qkv, float* scratch, int B,
                                 int T, int NH, int NKV, int HS, bool causal);
void multihead_attention_backward(float* dqkv, const float* dout, const float* out,
                                  const float* lse, const float* qkv, float* scratch, int B, int T,
                                  int NH, int NKV, int HS, bool causal);
std::int64_t attention_scratch_size(int B, int T, int NH, int NKV, int HS);

}  // namespace tinygpt::mine
