// Attention in tiles, without the T x T matrix.
#pragma once

#include <cstdint>

namespace tinygpt::cuda {

// Contracts: tinygpt/ops/attention.h. Scratch is as large as the reference's. Heads of more than
// 128 values are left to the reference.
template <class Real>
void attention_forward(Real* out, float* lse, const Real* qkv, float* scratch, int B, int T, int NH,
                       int NKV, int HS, bool causal);
template <class Real>
void attention_backward(Real* dqkv, const Real* dout, const Real* out, const float* lse,
                        const Real* qkv, float* scratch, int B, int T, int NH, int NKV, int HS,
                        bool causal);

}  // namespace tinygpt::cuda
