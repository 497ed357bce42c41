#include "exercises/23-kv-cache/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "exercises/23-kv-cache/cache_rows.h"
#include "tinygpt/core/error.h"

namespace tinygpt::mine {

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
  throw NotImplemented("23.kv_append");
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
  throw NotImplemented("23.attention_decode");
  // end of your code
}

std::int64_t attention_decode_scratch_size(int, int, int, int HS, int longest) {
  return std::int64_t{longest} + HS;
}

}  // namespace tinygpt::mine
