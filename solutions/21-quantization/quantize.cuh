// Lesson 21 on CUDA: weights into blocks and back, on the device.
#pragma once

#include "tinygpt/ops/quantized.h"

namespace tinygpt::ref_cuda {

// Contracts: tinygpt/ops/quantized.h. Here nobody looks whether x is finite and every scale in half
// precision's range: it must be.
QuantizeQ8_0 quantize_q8_0;
QuantizeQ4_0 quantize_q4_0;
DequantizeQ8_0 dequantize_q8_0;
DequantizeQ4_0 dequantize_q4_0;

}  // namespace tinygpt::ref_cuda
