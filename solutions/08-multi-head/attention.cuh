// Lesson 08 on CUDA: attention over several heads.
#pragma once

#include <cstdint>

namespace tinygpt::ref_cuda {

// Contracts: tinygpt/ops/attention.h.
template <class Real>
void multihead_attention_forward(Real* out, float* lse, const Real* qkv, float* scratch, int B,
                                 int T, int NH, int NKV, int HS, bool causal);
template <class Real>
void multihead_attention_backward(Real* dqkv, const Real* dout, const Real* out, const float* lse,
                                  const Real* qkv, float* scratch, int B, int T, int NH, int NKV,
                                  int HS, bool causal);
std::int64_t attention_scratch_size(int B, int T, int NH, int NKV, int HS);

}  // namespace tinygpt::ref_cuda
