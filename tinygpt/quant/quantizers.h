// The pieces that lesson 21 writes, as a table: the library's own, or a learner's in their place.
#pragma once

#include "tinygpt/ops/quantized.h"

namespace tinygpt {

struct Quantizers {
  QuantizeQ8_0* quantize_q8_0 = nullptr;
  QuantizeQ4_0* quantize_q4_0 = nullptr;
  DequantizeQ8_0* dequantize_q8_0 = nullptr;
  DequantizeQ4_0* dequantize_q4_0 = nullptr;
  // nullptr: gptq() of quant/gptq.h, which is faster, and knows other formats and orders. Another
  // one takes its place where Q4_0 is asked for.
  GptqQuantize* gptq_quantize = nullptr;
  AwqScales* awq_scales = nullptr;
};

// The library's.
Quantizers standard_quantizers();

}  // namespace tinygpt
