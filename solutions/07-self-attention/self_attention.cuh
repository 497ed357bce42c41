// Lesson 07 on CUDA: attention as three kernels, one for each of its matrices.
#pragma once

namespace tinygpt::ref_cuda {

// Contracts: solutions/07-self-attention/self_attention.h.
void attention_scores(float* scores, const float* q, const float* k, int T, int HS);
void weighted_sum(float* out, const float* weights, const float* x, int T, int C);

// p[t, u] = softmax of scores[t, u] over those u that query t may look at.
//
// p      [T, T]  written: 0 wherever it may not look, and in all of a row that may look nowhere
// scores [T, T]
// mask   [T, T]  not 0 where query t may look at key u; nullptr: everywhere
void masked_softmax(float* p, const float* scores, const int* mask, int T);

}  // namespace tinygpt::ref_cuda
