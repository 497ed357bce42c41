// Lesson 24: products of quantized weights, and files that hold them.
#pragma once

#include "tinygpt/ops/quantized.h"

namespace tinygpt::ref {

// Contracts: tinygpt/ops/quantized.h.
MatvecQ8_0 matvec_q8_0;
MatvecQ4_0 matvec_q4_0;
QuantizedPackedSize quantized_packed_size;
QuantizedPack quantized_pack;
QuantizedLinearForward<float> quantized_linear_forward;
QuantizedScratchSize quantized_scratch_size;

}  // namespace tinygpt::ref
