// The key-value cache: what attention needs of the tokens that a sequence has already, kept so that
// a new token costs one row of work and not a pass over the whole text.
// Shazeer: "Fast Transformer Decoding: One Write-Head is All You Need" (2019), section 2.4.
// Ainslie et al.: "GQA" (2023): NKV key-value heads serve NH query heads, and only they are kept.
#pragma once

#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/device.h"

namespace tinygpt {

// What a cached number is kept in. int8 has a float scale for each row of a head:
//   scale = max_d |x[d]| / 127,  q[d] = round(x[d] / scale),  x'[d] = scale * q[d]
enum class CacheType { f32, bf16, int8 };

// The cache of one layer: the rows of k, already turned where positions are rotary, and of v.
// Position p of sequence s and key-value head g begins at value
//   ((s * kv_heads + g) * capacity + p) * head_size
// so the keys of a head lie one behind the other. A view: it owns nothing.
struct KvCache {
  CacheType type = CacheType::f32;
  int sequences = 0;         // S
  int kv_heads = 0;          // NKV
  int capacity = 0;          // positions for which a sequence has room
  int head_size = 0;         // HS
  void* k = nullptr;         // [S, NKV, capacity, HS] of type
  void* v = nullptr;         // the same
  float* k_scale = nullptr;  // [S, NKV, capacity]; int8 alone
  float* v_scale = nullptr;
};

inline std::int64_t bytes_of(CacheType type) {
  return type == CacheType::f32 ? 4 : type == CacheType::bf16 ? 2 : 1;
}

// Rows of a head that the cache has room for: S * NKV * capacity.
inline std::int64_t cache_rows(const KvCache& c) {
  return std::int64_t{c.sequences} * c.kv_heads * c.capacity;
}

// Which of these rows has position p of key-value head g of sequence s.
TINYGPT_HOST_DEVICE inline std::int64_t cache_row(const KvCache& c, int s, int g, int p) {
  return (std::int64_t{s} * c.kv_heads + g) * c.capacity + p;
}

// Bytes that one token takes in one layer: k and v, all heads, scales included.
inline std::int64_t cache_bytes_per_token(CacheType type, int NKV, int HS) {
  const std::int64_t row = HS * bytes_of(type) + (type == CacheType::int8 ? 4 : 0);
  return 2 * NKV * row;
}

// Row n of qkv brings a key and a value of each head, which go to position[n] of sequence[n]:
//
//   k[sequence[n], g, position[n], d] = qkv[n, (NH + g) * HS + d]
//   v[sequence[n], g, position[n], d] = qkv[n, (NH + NKV + g) * HS + d]
//
// rounded to the cache's type; every other place stays as it is.
//
// qkv       [N, (NH + 2 NKV) * HS]  as in attention.h
// sequence  [N]  0 <= sequence[n] < S
// position  [N]  0 <= position[n] < capacity; no two rows have the same sequence and position
// The caller checks sequence and position: on a device the operator could not say what is wrong.
template <class Real>
using KvAppend = void(const KvCache& cache, const Real* qkv, const int* sequence,
                      const int* position, int N, int NH);

// The queries of row n look at the keys 0 .. position[n] of sequence[n], their own included, which
// kv_append has put there before. For query head h, with g = h / (NH / NKV):
//
//   s[u]      = (q . k[sequence[n], g, u]) / sqrt(HS)       u = 0 .. position[n]
//   p[u]      = exp(s[u]) / sum_w exp(s[w])
//   out[n, h] = sum_u p[u] * v[sequence[n], g, u]
//
// Nothing binds a row to its neighbours, and so this is one token of one sequence, one token each
// of several sequences that are of different length, several tokens behind a text that is there
// already (its continuation, or drafted tokens to be verified), or any mixture.
//
// out      [N, NH * HS]  written
// qkv      [N, (NH + 2 NKV) * HS]  of which q is read
// scratch               attention_decode_scratch_size(...) floats
// longest               at least 1 + the largest position[n], at most capacity
// NH is a multiple of NKV; throws Error otherwise. No buffer may overlap another.
template <class Real>
using AttentionDecode = void(Real* out, const Real* qkv, const KvCache& cache, const int* sequence,
                             const int* position, float* scratch, int N, int NH, int longest);

using AttentionDecodeScratchSize = std::int64_t(int N, int NH, int NKV, int HS, int longest);

}  // namespace tinygpt
