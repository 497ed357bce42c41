// How a row of the cache is kept, in each of its types.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tinygpt/ops/kv_cache.h"

namespace tinygpt::mine {

// Writes row `row` of k (or of v): x [HS], rounded to the cache's type.
//
// int8: the largest magnitude of the row becomes 127, so that nothing is cut off. A row of zeros
// has the scale 0; one that is not finite keeps a scale that says so, and reads as NaN.
inline void write_cache_row(const KvCache& cache, void* values, float* scales, std::int64_t row,
                     const float* x) {
  const int HS = cache.head_size;
  const std::int64_t first = row * HS;
  if (cache.type == CacheType::f32) {
    std::copy_n(x, HS, static_cast<float*>(values) + first);
  } else if (cache.type == CacheType::bf16) {
    Bfloat16* to = static_cast<Bfloat16*>(values) + first;
    for (int d = 0; d < HS; ++d) to[d] = Bfloat16(x[d]);
  } else {
    float sum = 0.0f, largest = 0.0f;
    for (int d = 0; d < HS; ++d) {
      largest = std::max(largest, std::abs(x[d]));
      sum += x[d] - x[d];  // NaN where a value is not finite
    }
    scales[row] = largest / 127.0f + sum;
    const bool usable = largest > 0.0f && std::isfinite(scales[row]);
    std::int8_t* to = static_cast<std::int8_t*>(values) + first;
    for (int d = 0; d < HS; ++d) {
      to[d] = usable ? static_cast<std::int8_t>(std::nearbyint(x[d] * (127.0f / largest)))
                     : std::int8_t{0};
    }
  }
}

// x [HS] = row `row` of k (or of v).
inline void read_cache_row(float* x, const KvCache& cache, const void* values, const float* scales,
                    std::int64_t row) {
  const int HS = cache.head_size;
  const std::int64_t first = row * HS;
  if (cache.type == CacheType::f32) {
    std::copy_n(static_cast<const float*>(values) + first, HS, x);
  } else if (cache.type == CacheType::bf16) {
    const Bfloat16* from = static_cast<const Bfloat16*>(values) + first;
    std::copy_n(from, HS, x);
  } else {
    const std::int8_t* from = static_cast<const std::int8_t*>(values) + first;
    for (int d = 0; d < HS; ++d) x[d] = scales[row] * static_cast<float>(from[d]);
  }
}

}  // namespace tinygpt::mine
