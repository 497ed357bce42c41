#include "tinygpt/cuda/table.cuh"

#include "solutions/table.cuh"
#include "tinygpt/cuda/attention.cuh"
#include "tinygpt/cuda/linear.cuh"
#include "tinygpt/cuda/quantized.cuh"
#include "tinygpt/cuda/rows.cuh"
#include "tinygpt/cuda/table.h"
#include "tinygpt/simt/cuda.h"

namespace tinygpt::cuda {

// The reference's kernels, but where there is a faster one. Those that are left read and write each
// value once, neighbours by neighbours, and are as fast as memory: there is nothing to gain by more
// (AdamW, for one: moments, master weight and rounded weight in one pass).
template <class Real>
Ops<Real> ops_of() {
  Ops<Real> table = ref_cuda::ops_of<Real>();
  table.linear_forward = linear_forward<Real>;
  table.linear_backward = linear_backward<Real>;
  table.linear_scratch_size = linear_scratch_size;
  table.linear_gelu_forward = linear_gelu_forward<Real>;
  // The fast product, and the adapter after it, beat the plain product that both are fused in.
  table.linear_lora_forward = nullptr;
  table.attention_forward = attention_forward<Real>;
  table.attention_backward = attention_backward<Real>;
  table.layernorm_forward = layernorm_forward<Real>;
  table.rmsnorm_forward = rmsnorm_forward<Real>;
  table.residual_layernorm_forward = residual_layernorm_forward<Real>;
  table.residual_rmsnorm_forward = residual_rmsnorm_forward<Real>;
  table.cross_entropy_forward = cross_entropy_forward<Real>;
  table.softmax_cross_entropy_backward = softmax_cross_entropy_backward<Real>;
  table.quantized_packed_size = quantized_packed_size;
  table.quantized_pack = quantized_pack;
  table.quantized_linear_forward = quantized_linear_forward<Real>;
  table.quantized_scratch_size = quantized_scratch_size;
  return table;
}

template Ops<float> ops_of();
template Ops<Bfloat16> ops_of();

Ops<float> ops() { return ops_of<float>(); }
Ops<Bfloat16> bf16_ops() { return ops_of<Bfloat16>(); }

}  // namespace tinygpt::cuda
