// Lesson 09 on CUDA: how the model knows the order.
#pragma once

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/positions.h and tinygpt/ops/rope.h.
template <class Real>
void learned_positions_forward(Real* out, const Real* x, const Real* weight, int B, int T, int C,
                               int start);
template <class Real>
void learned_positions_backward(float* dweight, const Real* dout, int B, int T, int C, int start);
template <class Real>
void sinusoidal_positions(Real* table, int T, int C, float base);
void rope_table(float* cosine, float* sine, int T, int HS, float base);
template <class Real>
void rope_forward(Real* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
                  int stride, int start);
template <class Real>
void rope_backward(Real* dx, const float* cosine, const float* sine, int B, int T, int heads,
                   int HS, int stride, int start);

}  // namespace tinygpt::mine_cuda
