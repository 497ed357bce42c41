// Lesson 23: the key-value cache, and a token that looks back into it.
#pragma once

#include "tinygpt/ops/kv_cache.h"

namespace tinygpt::ref {

// Contracts: tinygpt/ops/kv_cache.h.
KvAppend<float> kv_append;
AttentionDecode<float> attention_decode;
AttentionDecodeScratchSize attention_decode_scratch_size;

}  // namespace tinygpt::ref
