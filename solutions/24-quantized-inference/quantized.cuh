// Lesson 24 on CUDA: products of quantized weights by dp4a.
#pragma once

#include <cstdint>

#include "tinygpt/ops/quantized.h"

namespace tinygpt::ref_cuda {

// Contracts: tinygpt/ops/quantized.h. All blocks are in the device's memory.
MatvecQ8_0 matvec_q8_0;
MatvecQ4_0 matvec_q4_0;
// The same for N rows of x, with a bias (or nullptr): out [N, rows], x [N, cols / 32].
template <class Real, class Block>
void matvec_rows(Real* out, const Block* weight, const BlockQ8_0* x, const float* bias, int N,
                 int rows, int cols);

QuantizedPackedSize quantized_packed_size;
QuantizedPack quantized_pack;
QuantizedScratchSize quantized_scratch_size;
template <class Real>
void quantized_linear_forward(Real* out, const Real* x, const QuantizedMatrix& weight,
                              const float* bias, float* scratch, int N);

}  // namespace tinygpt::ref_cuda
