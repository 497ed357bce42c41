// What is done row by row: norms with the residual before them, and the loss.
#pragma once

namespace tinygpt::cuda {

// Contracts: tinygpt/ops/layernorm.h, rmsnorm.h, fused.h and cross_entropy.h.
template <class Real>
void layernorm_forward(Real* out, float* mean, float* rstd, const Real* x, const Real* weight,
                       const Real* bias, int N, int C, float eps);
template <class Real>
void rmsnorm_forward(Real* out, float* rstd, const Real* x, const Real* weight, int N, int C,
                     float eps);
template <class Real>
void residual_layernorm_forward(Real* out, Real* sum, float* mean, float* rstd, const Real* a,
                                const Real* b, const Real* weight, const Real* bias, int N, int C,
                                float eps);
template <class Real>
void residual_rmsnorm_forward(Real* out, Real* sum, float* rstd, const Real* a, const Real* b,
                              const Real* weight, int N, int C, float eps);
template <class Real>
void cross_entropy_forward(float* losses, float* lse, const Real* logits, const int* targets, int N,
                           int V);
template <class Real>
void softmax_cross_entropy_backward(Real* dlogits, const Real* logits, const float* lse,
                                    const int* targets, int N, int V, float scale);

}  // namespace tinygpt::cuda
