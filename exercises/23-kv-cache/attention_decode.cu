#include <algorithm>
#include <cmath>
#include <cstdint>

#include "exercises/23-kv-cache/cached_rows.cuh"
#include "exercises/23-kv-cache/kv_cache.cuh"
#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"  // NotImplemented

// A token of a long text has few queries and many keys. One warp for each query head would leave
// most of the device idle, and so the keys are cut into stretches with a warp each. A second kernel
// puts the stretches of a head together.
// Dao, Haziza, Massa, Sizov: "Flash-Decoding for long-context inference" (2023).

namespace tinygpt::mine_cuda {
namespace {

constexpr int kWarps = 4;  // of a block

// Which of all warps this one is, in the order of what they write: for the first kernel
// (n * NH + h) * stretches + stretch, for the second n * NH + h. The last block may have some more.
__device__ std::int64_t warp_index() {
  return std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
}

}  // namespace

// For the keys u of one stretch, stretch * kStretch <= u < (stretch + 1) * kStretch, that row n
// sees (u <= position[n]):
//
//   s[u] = (q . k[u]) / sqrt(HS),   m = max_u s[u]
//   partial[0 .. HS-1] = sum_u exp(s[u] - m) * v[u]
//   partial[HS] = m,   partial[HS + 1] = sum_u exp(s[u] - m)
//
// One warp for each stretch of each query head of each row. Its lanes share the HS numbers: lane i
// has i, i + 32, ..., so that a warp reads 32 neighbours, and a dot product is one reduction. The
// pass over the keys is lesson 08's, online: whenever a larger score turns up, what was summed
// shrinks by exp(old - new). A stretch that row n does not see writes nothing.
//
// partial [N, NH, stretches, HS + 2]: written. qkv [N, (NH + 2 NKV) * HS]: q of head h at h * HS.
// k.at(row, d) and v.at(row, d) read a number of the cache as a float, whatever Stored is.
template <class Real, class Stored>
__global__ void decode_split_kernel(float* partial, const Real* qkv, KvCache cache,
                                    const int* sequence, const int* position, int N, int NH,
                                    int stretches, float scale) {
  extern __shared__ float shared[];
  const int NKV = cache.kv_heads, HS = cache.head_size, lane = threadIdx.x % kWarp;
  float* acc = shared + threadIdx.x / kWarp * HS;  // of this warp: sum of exp(s - m) v
  const CachedRows<Stored> k{static_cast<const Stored*>(cache.k), cache.k_scale, HS};
  const CachedRows<Stored> v{static_cast<const Stored*>(cache.v), cache.v_scale, HS};
  const std::int64_t index = warp_index();
  // your code on the device: 23.decode_split_cuda
  // end of your code
}

// Launches a warp for each stretch of each query head of each row, kWarps of them to a block, with
// kWarps * HS floats of shared memory: an acc for each. Stored is what cache.type says: float,
// Bfloat16 or std::int8_t.
template <class Real>
void decode_split(float* partial, const Real* qkv, const KvCache& cache, const int* sequence,
                  const int* position, int N, int NH, int stretches) {
  // your code: 23.decode_split_cuda
  throw NotImplemented("23.decode_split_cuda");
  // end of your code
  check_launch("decode_split");
}

// With m_i, l_i and a_i = partial[HS], partial[HS + 1] and partial[0 .. HS-1] of stretch i, and
// i = 0 .. position[n] / kStretch:
//
//   m = max_i m_i,   w_i = exp(m_i - m)
//   out[n, h] = (sum_i w_i * a_i) / (sum_i w_i * l_i)
//
// One warp for each query head of each row; lane i has the numbers i, i + 32, ...
template <class Real>
__global__ void decode_combine_kernel(Real* out, const float* partial, const int* position, int N,
                                      int NH, int HS, int stretches) {
  const int lane = threadIdx.x % kWarp;
  const std::int64_t index = warp_index();  // of the query head: n * NH + h
  // your code on the device: 23.decode_combine_cuda
  // end of your code
}

template <class Real>
void decode_combine(Real* out, const float* partial, const int* position, int N, int NH, int HS,
                    int stretches) {
  // your code: 23.decode_combine_cuda
  throw NotImplemented("23.decode_combine_cuda");
  // end of your code
  check_launch("decode_combine");
}

template <class Real>
void attention_decode(Real* out, const Real* qkv, const KvCache& cache, const int* sequence,
                      const int* position, float* scratch, int N, int NH, int longest) {
  const int NKV = cache.kv_heads, HS = cache.head_size;
  check(NKV > 0 && NH % NKV == 0, "attention_decode: NH must be a multiple of NKV");
  if (N == 0 || NH == 0) return;
  const int stretches = static_cast<int>(ceil_div(longest, kStretch));
  decode_split(scratch, qkv, cache, sequence, position, N, NH, stretches);
  decode_combine(out, scratch, position, N, NH, HS, stretches);
}

std::int64_t attention_decode_scratch_size(int N, int NH, int, int HS, int longest) {
  return std::int64_t{N} * NH * ceil_div(longest, kStretch) * (HS + 2);
}

template void decode_split<float>(float*, const float*, const KvCache&, const int*, const int*, int,
                                  int, int);
template void decode_combine<float>(float*, const float*, const int*, int, int, int, int);
template AttentionDecode<float> attention_decode<float>;
template AttentionDecode<Bfloat16> attention_decode<Bfloat16>;

}  // namespace tinygpt::mine_cuda
