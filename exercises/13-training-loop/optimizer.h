// Lesson 13: one step of training, taken well.
#pragma once

#include <cstdint>

#include "tinygpt/ops/adamw.h"

namespace tinygpt::mine {

// Contracts: tinygpt/ops/adamw.h and tinygpt/ops/gradient_norm.h.
void adamw_step(float* param, float* master, float* m, float* v, const float* grad, std::int64_t n,
                const AdamwSettings& settings);
void gradient_norm(float* norm, const float* grad, float* scratch, std::int64_t n);
std::int64_t gradient_norm_scratch_size(std::int64_t n);
void clip_gradients(float* grad, const float* norm, std::int64_t n, float max_norm);

}  // namespace tinygpt::mine
