// Linear layers over quantized weights. Contracts: tinygpt/ops/quantized.h.
#pragma once

#include <cstdint>

#include "tinygpt/ops/quantized.h"

namespace tinygpt::cuda {

QuantizedPackedSize quantized_packed_size;
QuantizedPack quantized_pack;
QuantizedScratchSize quantized_scratch_size;
template <class Real>
void quantized_linear_forward(Real* out, const Real* x, const QuantizedMatrix& weight,
                              const float* bias, float* scratch, int N);

}  // namespace tinygpt::cuda
