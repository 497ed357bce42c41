// The linear layer on fast matrix products. Contracts: tinygpt/ops/linear.h, tinygpt/ops/fused.h.
#pragma once

#include <cstdint>

namespace tinygpt::cuda {

template <class Real>
void linear_forward(Real* out, const Real* x, const Real* weight, const Real* bias, float* scratch,
                    int N, int C, int OC);
template <class Real>
void linear_gelu_forward(Real* out, Real* pre, const Real* x, const Real* weight, const Real* bias,
                         float* scratch, int N, int C, int OC);
template <class Real>
void linear_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                     const Real* weight, float* scratch, int N, int C, int OC);
std::int64_t linear_scratch_size(int N, int C, int OC);

}  // namespace tinygpt::cuda
