#include <cstdint>

#include "exercises/23-kv-cache/kv_cache.cuh"
#include "exercises/kernel.cuh"

namespace tinygpt::mine_cuda {
namespace {

constexpr int kWarps = kThreads / kWarp;  // of a block

// One row of k or of v, to all places of the cache: x [HS], by the lanes of one warp.
template <class Real>
__device__ void write_row(const KvCache& c, void* values, float* scales, std::int64_t row,
                          const Real* x, int lane) {
  const int HS = c.head_size;
  const std::int64_t first = row * HS;
  if (c.type == CacheType::f32) {
    float* to = static_cast<float*>(values) + first;
    for (int d = lane; d < HS; d += kWarp) to[d] = to_float(x[d]);
    return;
  }
  if (c.type == CacheType::bf16) {
    Bfloat16* to = static_cast<Bfloat16*>(values) + first;
    for (int d = lane; d < HS; d += kWarp) store(to + d, to_float(x[d]));
    return;
  }
  float largest = 0.0f, broken = 0.0f;
  for (int d = lane; d < HS; d += kWarp) {
    const float value = to_float(x[d]);
    largest = fmaxf(largest, fabsf(value));
    broken += value - value;  // NaN where a value is not finite
  }
  largest = warp_reduce<Max>(largest);
  const float scale = largest / 127.0f + warp_sum(broken);
  const bool usable = largest > 0.0f && isfinite(scale);
  std::int8_t* to = static_cast<std::int8_t*>(values) + first;
  for (int d = lane; d < HS; d += kWarp) {
    to[d] = usable ? static_cast<std::int8_t>(rintf(to_float(x[d]) * (127.0f / largest)))
                   : std::int8_t{0};
  }
  if (lane == 0) scales[row] = scale;
}

}  // namespace

// One warp for each head of each row of qkv, keys first, then values: N * 2 NKV warps.
template <class Real>
__global__ void kv_append_kernel(KvCache cache, const Real* qkv, const int* sequence,
                                 const int* position, int N, int NH) {
  const int NKV = cache.kv_heads, lane = threadIdx.x % kWarp;
  const std::int64_t warp = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const std::int64_t n = warp / (2 * NKV);
  if (n >= N) return;
  const int part = static_cast<int>(warp % (2 * NKV)), g = part % NKV;
  const Real* x = qkv + (n * (NH + 2 * NKV) + NH + part) * cache.head_size;
  const std::int64_t row = cache_row(cache, sequence[n], g, position[n]);
  if (part < NKV) write_row(cache, cache.k, cache.k_scale, row, x, lane);
  else write_row(cache, cache.v, cache.v_scale, row, x, lane);
}

template <class Real>
void kv_append(const KvCache& cache, const Real* qkv, const int* sequence, const int* position,
               int N, int NH) {
  if (N == 0 || cache.kv_heads == 0) return;
  const std::int64_t warps = std::int64_t{N} * 2 * cache.kv_heads;
  const auto blocks = static_cast<unsigned>(ceil_div(warps, kWarps));
  kv_append_kernel<<<blocks, kThreads>>>(cache, qkv, sequence, position, N, NH);
  check_launch("kv_append");
}

template KvAppend<float> kv_append<float>;
template KvAppend<Bfloat16> kv_append<Bfloat16>;

}  // namespace tinygpt::mine_cuda
