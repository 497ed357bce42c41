// Lesson 19: a frozen layer adapted by two thin matrices.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// Contracts: tinygpt/ops/lora.h.
void lora_forward(float* out, float* ax, const float* x, const float* a, const float* b,
                  float* scratch, int N, int C, int OC, int stride, int rank, float scale);
void lora_backward(float* dx, float* da, float* db, const float* dout, const float* ax,
                   const float* x, const float* a, const float* b, float* scratch, int N, int C,
                   int OC, int stride, int rank, float scale);
std::int64_t lora_scratch_size(int N, int C, int OC, int rank);
void lora_merge(float* weight, const float* a, const float* b, int C, int OC, int rank,
                float scale);

// How an adapter starts: it must change nothing yet, and be able to learn.
void lora_init(float* a, float* b, int C, int OC, int rank, std::uint64_t seed,
               std::uint64_t stream);

}  // namespace tinygpt::mine
