// Lesson 02 on CUDA: a token becomes a row of a table.
#pragma once

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/embedding.h.
template <class Real>
void embedding_forward(Real* out, const int* tokens, const Real* weight, int N, int C, int V);
template <class Real>
void embedding_backward(float* dweight, const Real* dout, const int* tokens, int N, int C, int V);

}  // namespace tinygpt::mine_cuda
