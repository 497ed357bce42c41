// Lesson 13 on CUDA: one step of training, taken well.
#pragma once

#include <cstdint>

#include "tinygpt/ops/adamw.h"

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/adamw.h and tinygpt/ops/gradient_norm.h.
template <class Real>
void adamw_step(Real* param, float* master, float* m, float* v, const float* grad, std::int64_t n,
                const AdamwSettings& settings);
void gradient_norm(float* norm, const float* grad, float* scratch, std::int64_t n);
std::int64_t gradient_norm_scratch_size(std::int64_t n);
void clip_gradients(float* grad, const float* norm, std::int64_t n, float max_norm);

}  // namespace tinygpt::mine_cuda
