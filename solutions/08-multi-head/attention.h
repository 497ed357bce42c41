// Lesson 08: attention over several heads.
#pragma once

#include <cstdint>

namespace tinygpt::ref {

// Contracts: tinygpt/ops/attention.h.
void multihead_attention_forward(float* out, float* lse, const float* qkv, float* scratch, int B,
                                 int T, int NH, int NKV, int HS, bool causal);
void multihead_attention_backward(float* dqkv, const float* dout, const float* out,
                                  const float* lse, const float* qkv, float* scratch, int B, int T,
                                  int NH, int NKV, int HS, bool causal);
std::int64_t attention_scratch_size(int B, int T, int NH, int NKV, int HS);

}  // namespace tinygpt::ref
