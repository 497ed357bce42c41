// Lesson 23: the key-value cache, and a token that looks back into it.
#pragma once

#include "tinygpt/ops/kv_cache.h"

namespace tinygpt::ref {

// Contracts: tinygpt/ops/kv_cache.h.
KvAppend<float> kv_append;
AttentionDecode<float> attention_decode;
AttentionDecodeScratchSize attention_decode_scratch_size;

// Row `row` of k (or of v): x [HS], rounded to the cache's type, and back.
void write_cache_row(const KvCache& cache, void* values, float* scales, std::int64_t row,
                     const float* x);
void read_cache_row(float* x, const KvCache& cache, const void* values, const float* scales,
                    std::int64_t row);

}  // namespace tinygpt::ref
