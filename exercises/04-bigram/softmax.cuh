// Lesson 04 on CUDA: from scores to probabilities, and how wrong they are.
#pragma once

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/softmax.h and tinygpt/ops/cross_entropy.h.
template <class Real>
void softmax_forward(Real* out, const Real* x, int N, int V);
// The same in one pass over x instead of two, for float.
void softmax_online(float* out, const float* x, int N, int V);
template <class Real>
void softmax_backward(Real* dx, const Real* dout, const Real* out, int N, int V);
template <class Real>
void cross_entropy_forward(float* losses, float* lse, const Real* logits, const int* targets, int N,
                           int V);
template <class Real>
void softmax_cross_entropy_backward(Real* dlogits, const Real* logits, const float* lse,
                                    const int* targets, int N, int V, float scale);

}  // namespace tinygpt::mine_cuda
