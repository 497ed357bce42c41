// Lesson 23 on CUDA: the key-value cache, and a token that looks back into it.
#pragma once

#include <cstdint>

#include "tinygpt/ops/kv_cache.h"

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/kv_cache.h.
template <class Real>
void kv_append(const KvCache& cache, const Real* qkv, const int* sequence, const int* position,
               int N, int NH);
template <class Real>
void attention_decode(Real* out, const Real* qkv, const KvCache& cache, const int* sequence,
                      const int* position, float* scratch, int N, int NH, int longest);
std::int64_t attention_decode_scratch_size(int N, int NH, int NKV, int HS, int longest);

// Keys of a stretch. The halves of decoding: the first leaves for each stretch of each query head
// what it has summed, HS + 2 floats of `partial` [N, NH, stretches, HS + 2]; the second puts a
// head's stretches together.
inline constexpr int kStretch = 64;

template <class Real>
void decode_split(float* partial, const Real* qkv, const KvCache& cache, const int* sequence,
                  const int* position, int N, int NH, int stretches);
template <class Real>
void decode_combine(Real* out, const float* partial, const int* position, int N, int NH, int HS,
                    int stretches);

}  // namespace tinygpt::mine_cuda
