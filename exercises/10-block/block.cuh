// Lesson 10 on CUDA: the parts that keep a deep model trainable, and its MLP's gate.
#pragma once

#include <cstdint>

namespace tinygpt::mine_cuda {

// Contracts: layernorm.h, rmsnorm.h, swiglu.h, residual.h and dropout.h in tinygpt/ops/.
template <class Real>
void layernorm_forward(Real* out, float* mean, float* rstd, const Real* x, const Real* weight,
                       const Real* bias, int N, int C, float eps);
template <class Real>
void layernorm_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                        const Real* weight, const float* mean, const float* rstd, float* scratch,
                        int N, int C);
template <class Real>
void rmsnorm_forward(Real* out, float* rstd, const Real* x, const Real* weight, int N, int C,
                     float eps);
template <class Real>
void rmsnorm_backward(Real* dx, float* dweight, const Real* dout, const Real* x, const Real* weight,
                      const float* rstd, float* scratch, int N, int C);
std::int64_t norm_scratch_size(int N, int C);
template <class Real>
void swiglu_forward(Real* out, const Real* x, int N, int H);
template <class Real>
void swiglu_backward(Real* dx, const Real* dout, const Real* x, int N, int H);
template <class Real>
void residual_forward(Real* out, const Real* a, const Real* b, std::int64_t n);
template <class Real>
void residual_backward(Real* da, Real* db, const Real* dout, std::int64_t n);
template <class Real>
void dropout_forward(Real* out, const Real* x, std::int64_t n, float p, std::uint64_t seed,
                     std::uint64_t stream);
template <class Real>
void dropout_backward(Real* dx, const Real* dout, std::int64_t n, float p, std::uint64_t seed,
                      std::uint64_t stream);

}  // namespace tinygpt::mine_cuda
