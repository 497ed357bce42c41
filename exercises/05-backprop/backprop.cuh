// Lesson 05 on CUDA: gradients by hand.
#pragma once

#include <cstdint>

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/linear.h and tinygpt/ops/gelu.h.
template <class Real>
void linear_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                     const Real* weight, float* scratch, int N, int C, int OC);
template <class Real>
void gelu_forward(Real* out, const Real* x, std::int64_t n);
template <class Real>
void gelu_backward(Real* dx, const Real* dout, const Real* x, std::int64_t n);

}  // namespace tinygpt::mine_cuda
