// Lesson 08 on CUDA: attention over several heads.
#pragma once

#include <cstdint>

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/attention.h.
template <class Real>
void multihead_attention_forward(Real* out, float* lse, const Real* qkv, float* scratch, int B,
                                 int T, int NH, int NKV, int HS, bool causal);
template <class Real>
void multihead_attention_backward(Real* dqkv, const Real* dout, const Real* out, const float* lse,
                                  const Real* qkv, float* scratch, int B, int T, int NH, int NKV,
                                  int HS, bool causal);
std::int64_t attention_scratch_size(int B, int T, int NH, int NKV, int HS);

// The two halves of the backward pass. The first adds to the queries' part of dqkv and writes
// delta [B, NH, T]; the second reads delta and adds to the keys' and the values' part.
template <class Real>
using AttentionBackwardQueries = void(Real* dqkv, float* delta, const Real* dout, const Real* out,
                                      const float* lse, const Real* qkv, int B, int T, int NH,
                                      int NKV, int HS, bool causal);
template <class Real>
using AttentionBackwardKeys = void(Real* dqkv, const float* delta, const Real* dout,
                                   const float* lse, const Real* qkv, int B, int T, int NH, int NKV,
                                   int HS, bool causal);
template <class Real>
void attention_backward_queries(Real* dqkv, float* delta, const Real* dout, const Real* out,
                                const float* lse, const Real* qkv, int B, int T, int NH, int NKV,
                                int HS, bool causal);
template <class Real>
void attention_backward_keys(Real* dqkv, const float* delta, const Real* dout, const float* lse,
                             const Real* qkv, int B, int T, int NH, int NKV, int HS, bool causal);

}  // namespace tinygpt::mine_cuda
