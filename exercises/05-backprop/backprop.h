// Lesson 05: gradients by hand.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// Contracts: tinygpt/ops/linear.h and tinygpt/ops/gelu.h.
void linear_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                     const float* weight, float* scratch, int N, int C, int OC);
void gelu_forward(float* out, const float* x, std::int64_t n);
void gelu_backward(float* dx, const float* dout, const float* x, std::int64_t n);

}  // namespace tinygpt::mine
