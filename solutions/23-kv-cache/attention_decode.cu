#include <algorithm>
#include <cmath>
#include <cstdint>

#include "solutions/23-kv-cache/cached_rows.cuh"
#include "solutions/23-kv-cache/kv_cache.cuh"
#include "solutions/kernel.cuh"

// A token of a long text has few queries and many keys. One warp for each query head would leave
// most of the device idle, and so the keys are cut into stretches with a warp each. A second kernel
// puts the stretches of a head together.
// Dao, Haziza, Massa, Sizov: "Flash-Decoding for long-context inference" (2023).

namespace tinygpt::ref_cuda {
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
  const int stretch = static_cast<int>(index % stretches);
  const int h = static_cast<int>(index / stretches % NH);
  const std::int64_t n = index / stretches / NH;
  if (n >= N || stretch * kStretch > position[n]) return;
  const Real* q = qkv + (n * (NH + 2 * NKV) + h) * HS;
  const std::int64_t first = cache_row(cache, sequence[n], h / (NH / NKV), 0);
  const int last = position[n];
  const int end = last < (stretch + 1) * kStretch ? last + 1 : (stretch + 1) * kStretch;
  for (int d = lane; d < HS; d += kWarp) acc[d] = 0.0f;
  float largest = -INFINITY, sum = 0.0f;
  for (int u = stretch * kStretch; u < end; ++u) {
    float dot = 0.0f;
    for (int d = lane; d < HS; d += kWarp) dot += to_float(q[d]) * k.at(first + u, d);
    const float score = scale * warp_sum(dot);
    const float before = largest;
    largest = fmaxf(largest, score);
    const float shrink = expf(before - largest);  // 0 at the first key: exp(-infinity)
    const float p = expf(score - largest);
    sum = sum * shrink + p;
    for (int d = lane; d < HS; d += kWarp) acc[d] = acc[d] * shrink + p * v.at(first + u, d);
  }
  float* to = partial + index * (HS + 2);
  for (int d = lane; d < HS; d += kWarp) to[d] = acc[d];
  if (lane == 0) {
    to[HS] = largest;
    to[HS + 1] = sum;
  }
  // end of your code
}

// Launches a warp for each stretch of each query head of each row, kWarps of them to a block, with
// kWarps * HS floats of shared memory: an acc for each. Stored is what cache.type says: float,
// Bfloat16 or std::int8_t.
template <class Real>
void decode_split(float* partial, const Real* qkv, const KvCache& cache, const int* sequence,
                  const int* position, int N, int NH, int stretches) {
  // your code: 23.decode_split_cuda
  const std::int64_t warps = std::int64_t{N} * NH * stretches;
  const auto blocks = static_cast<unsigned>(ceil_div(warps, kWarps));
  const std::size_t shared = static_cast<std::size_t>(kWarps) * cache.head_size * sizeof(float);
  const float scale = 1.0f / std::sqrt(static_cast<float>(cache.head_size));
  const auto launch = [&](auto kernel) {
    kernel<<<blocks, kWarps * kWarp, shared>>>(partial, qkv, cache, sequence, position, N, NH,
                                               stretches, scale);
  };
  if (cache.type == CacheType::f32) launch(decode_split_kernel<Real, float>);
  else if (cache.type == CacheType::bf16) launch(decode_split_kernel<Real, Bfloat16>);
  else launch(decode_split_kernel<Real, std::int8_t>);
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
  if (index >= std::int64_t{N} * NH) return;
  const int count = position[index / NH] / kStretch + 1;
  const float* parts = partial + index * stretches * (HS + 2);
  float largest = -INFINITY;
  for (int i = lane; i < count; i += kWarp) largest = fmaxf(largest, parts[i * (HS + 2) + HS]);
  largest = warp_reduce<Max>(largest);
  float sum = 0.0f;
  for (int i = lane; i < count; i += kWarp) {
    const float* part = parts + i * (HS + 2);
    sum += expf(part[HS] - largest) * part[HS + 1];
  }
  sum = warp_sum(sum);
  for (int d = lane; d < HS; d += kWarp) {
    float value = 0.0f;
    for (int i = 0; i < count; ++i) {
      const float* part = parts + i * (HS + 2);
      value += expf(part[HS] - largest) * part[d];
    }
    store(out + index * HS + d, value / sum);
  }
  // end of your code
}

template <class Real>
void decode_combine(Real* out, const float* partial, const int* position, int N, int NH, int HS,
                    int stretches) {
  // your code: 23.decode_combine_cuda
  const auto blocks = static_cast<unsigned>(ceil_div(std::int64_t{N} * NH, kWarps));
  decode_combine_kernel<<<blocks, kWarps * kWarp>>>(out, partial, position, N, NH, HS, stretches);
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

}  // namespace tinygpt::ref_cuda
