#include "tinygpt/quant/quantizers.h"

#include "solutions/21-quantization/awq.h"
#include "solutions/21-quantization/quantize.h"

namespace tinygpt {

Quantizers standard_quantizers() {
  return {
      ref::quantize_q8_0, ref::quantize_q4_0, ref::dequantize_q8_0, ref::dequantize_q4_0, nullptr,
      ref::awq_scales};
}

}  // namespace tinygpt
