// Lesson 00 on CUDA: one thread for each element. Contracts as in first_steps.h.
#pragma once

#include <cstdint>

namespace tinygpt::mine_cuda {

void axpy(float* y, const float* x, float a, std::int64_t n);
void scale(float* y, const float* x, float a, std::int64_t n);

}  // namespace tinygpt::mine_cuda
