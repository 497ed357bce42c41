// Lesson 19 on CUDA: a frozen layer adapted by two thin matrices.
#pragma once

#include <cstdint>

namespace tinygpt::mine_cuda {

// Contracts: tinygpt/ops/lora.h and tinygpt/ops/fused.h.
template <class Real>
void lora_forward(Real* out, float* ax, const Real* x, const Real* a, const Real* b, float* scratch,
                  int N, int C, int OC, int stride, int rank, float scale);
template <class Real>
void lora_backward(Real* dx, float* da, float* db, const Real* dout, const float* ax, const Real* x,
                   const Real* a, const Real* b, float* scratch, int N, int C, int OC, int stride,
                   int rank, float scale);
std::int64_t lora_scratch_size(int N, int C, int OC, int rank);
template <class Real>
void lora_merge(Real* weight, const Real* a, const Real* b, int C, int OC, int rank, float scale);
template <class Real>
void linear_lora_forward(Real* out, float* ax, const Real* x, const Real* weight, const Real* bias,
                         const Real* a, const Real* b, float* scratch, int N, int C, int OC,
                         int rank, float scale);

}  // namespace tinygpt::mine_cuda
