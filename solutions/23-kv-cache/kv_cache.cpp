#include "solutions/23-kv-cache/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "solutions/23-kv-cache/cache_rows.h"
#include "tinygpt/core/error.h"

namespace tinygpt::ref {

// For every row n and every key-value head g, with s = sequence[n] and p = position[n]:
//
//   k[s, g, p, d] = qkv[n, (NH + g) * HS + d]
//   v[s, g, p, d] = qkv[n, (NH + NKV + g) * HS + d]        d = 0 .. HS-1
//
// cache               cache_row(cache, s, g, p) is the row of that place; write_cache_row writes
//                     HS values there, in whatever type the cache has
// qkv [N, (NH + 2 NKV) * HS]   a row: NH queries, then NKV keys, then NKV values, HS numbers each
// sequence, position [N]       where row n belongs; not to be taken from n
void kv_append(const KvCache& cache, const float* qkv, const int* sequence, const int* position,
               int N, int NH) {
  const int NKV = cache.kv_heads, HS = cache.head_size;
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;  // from one row of qkv to the next
  // your code: 23.kv_append
  for (int n = 0; n < N; ++n) {
    const float* keys = qkv + n * stride + std::int64_t{NH} * HS;
    const float* values = keys + std::int64_t{NKV} * HS;
    for (int g = 0; g < NKV; ++g) {
      const std::int64_t row = cache_row(cache, sequence[n], g, position[n]);
      write_cache_row(cache, cache.k, cache.k_scale, row, keys + g * HS);
      write_cache_row(cache, cache.v, cache.v_scale, row, values + g * HS);
    }
  }
  // end of your code
}

// For every row n and every query head h, with s = sequence[n] and g = h / (NH / NKV):
//
//   score[u]  = (q . k[s, g, u]) / sqrt(HS)                 u = 0 .. position[n], the last included
//   p[u]      = exp(score[u]) / sum_w exp(score[w])
//   out[n, h] = sum_u p[u] * v[s, g, u]
//
// out [N, NH * HS]             written
// qkv [N, (NH + 2 NKV) * HS]   the query of head h is at h * HS
// cache                        keys and values, this row's own included: kv_append has put them
//                              there. cache_row says which row has a place
// sequence, position [N]       whose keys row n sees, and the place of the last of them
// scores [longest], row [HS]   room: read_cache_row(row, ...) gives a key or a value as floats
void attention_decode(float* out, const float* qkv, const KvCache& cache, const int* sequence,
                      const int* position, float* scratch, int N, int NH, int longest) {
  const int NKV = cache.kv_heads, HS = cache.head_size;
  check(NKV > 0 && NH % NKV == 0, "attention_decode: NH must be a multiple of NKV");
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;  // from one row of qkv to the next
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  float* scores = scratch;
  float* row = scratch + longest;
  // your code: 23.attention_decode
  for (int n = 0; n < N; ++n) {
    const int keys = position[n] + 1;
    for (int h = 0; h < NH; ++h) {
      const float* q = qkv + n * stride + std::int64_t{h} * HS;
      const std::int64_t first = cache_row(cache, sequence[n], h / (NH / NKV), 0);
      for (int u = 0; u < keys; ++u) {
        read_cache_row(row, cache, cache.k, cache.k_scale, first + u);
        float dot = 0.0f;
        for (int d = 0; d < HS; ++d) dot += q[d] * row[d];
        scores[u] = scale * dot;
      }
      const float largest = *std::max_element(scores, scores + keys);
      float sum = 0.0f;
      for (int u = 0; u < keys; ++u) {
        scores[u] = std::exp(scores[u] - largest);
        sum += scores[u];
      }
      float* out_nh = out + (std::int64_t{n} * NH + h) * HS;
      std::fill_n(out_nh, HS, 0.0f);
      for (int u = 0; u < keys; ++u) {
        read_cache_row(row, cache, cache.v, cache.v_scale, first + u);
        for (int d = 0; d < HS; ++d) out_nh[d] += scores[u] / sum * row[d];
      }
    }
  }
  // end of your code
}

std::int64_t attention_decode_scratch_size(int, int, int, int HS, int longest) {
  return std::int64_t{longest} + HS;
}

}  // namespace tinygpt::ref
