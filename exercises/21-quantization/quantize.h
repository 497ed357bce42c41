// Lesson 21: weights in fewer bits.
#pragma once

#include "tinygpt/ops/quantized.h"

namespace tinygpt::mine {

// Contracts: tinygpt/ops/quantized.h.
QuantizeQ8_0 quantize_q8_0;
QuantizeQ4_0 quantize_q4_0;
DequantizeQ8_0 dequantize_q8_0;
DequantizeQ4_0 dequantize_q4_0;

}  // namespace tinygpt::mine
