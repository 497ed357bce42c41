#include "solutions/table.cuh"

#include "solutions/02-embedding/embedding.cuh"
#include "solutions/03-matmul/matmul.cuh"
#include "solutions/04-bigram/softmax.cuh"
#include "solutions/05-backprop/backprop.cuh"
#include "solutions/08-multi-head/attention.cuh"
#include "solutions/09-position/position.cuh"
#include "solutions/10-block/block.cuh"
#include "solutions/13-training-loop/optimizer.cuh"
#include "solutions/14-pretraining/sampling.cuh"
#include "solutions/19-lora/lora.cuh"
#include "solutions/23-kv-cache/kv_cache.cuh"
#include "solutions/24-quantized-inference/quantized.cuh"
#include "solutions/table_cuda.h"
#include "tinygpt/simt/cuda.h"

namespace tinygpt::ref_cuda {

template <class Real>
Ops<Real> ops_of() {
  Ops<Real> table;
  table.embedding_forward = embedding_forward<Real>;
  table.embedding_backward = embedding_backward<Real>;
  table.linear_forward = linear_forward<Real>;
  table.linear_backward = linear_backward<Real>;
  table.linear_scratch_size = linear_scratch_size;
  table.residual_forward = residual_forward<Real>;
  table.residual_backward = residual_backward<Real>;
  table.layernorm_forward = layernorm_forward<Real>;
  table.layernorm_backward = layernorm_backward<Real>;
  table.layernorm_scratch_size = norm_scratch_size;
  table.rmsnorm_forward = rmsnorm_forward<Real>;
  table.rmsnorm_backward = rmsnorm_backward<Real>;
  table.rmsnorm_scratch_size = norm_scratch_size;
  table.gelu_forward = gelu_forward<Real>;
  table.gelu_backward = gelu_backward<Real>;
  table.swiglu_forward = swiglu_forward<Real>;
  table.swiglu_backward = swiglu_backward<Real>;
  table.attention_forward = multihead_attention_forward<Real>;
  table.attention_backward = multihead_attention_backward<Real>;
  table.attention_scratch_size = attention_scratch_size;
  table.learned_positions_forward = learned_positions_forward<Real>;
  table.learned_positions_backward = learned_positions_backward<Real>;
  table.sinusoidal_positions = sinusoidal_positions<Real>;
  table.rope_table = rope_table;
  table.rope_forward = rope_forward<Real>;
  table.rope_backward = rope_backward<Real>;
  table.dropout_forward = dropout_forward<Real>;
  table.dropout_backward = dropout_backward<Real>;
  table.softmax_forward = softmax_forward<Real>;
  table.softmax_backward = softmax_backward<Real>;
  table.cross_entropy_forward = cross_entropy_forward<Real>;
  table.softmax_cross_entropy_backward = softmax_cross_entropy_backward<Real>;
  table.adamw_step = adamw_step<Real>;
  table.gradient_norm = gradient_norm;
  table.gradient_norm_scratch_size = gradient_norm_scratch_size;
  table.clip_gradients = clip_gradients;
  table.lora_forward = lora_forward<Real>;
  table.lora_backward = lora_backward<Real>;
  table.lora_merge = lora_merge<Real>;
  table.lora_scratch_size = lora_scratch_size;
  table.linear_lora_forward = linear_lora_forward<Real>;
  table.sample_token = sample_token<Real>;
  table.quantized_packed_size = quantized_packed_size;
  table.quantized_pack = quantized_pack;
  table.quantized_linear_forward = quantized_linear_forward<Real>;
  table.quantized_scratch_size = quantized_scratch_size;
  table.kv_append = kv_append<Real>;
  table.attention_decode = attention_decode<Real>;
  table.attention_decode_scratch_size = attention_decode_scratch_size;
  return table;
}

template Ops<float> ops_of();
template Ops<Bfloat16> ops_of();

Ops<float> ops() { return ops_of<float>(); }
Ops<Bfloat16> bf16_ops() { return ops_of<Bfloat16>(); }

std::string unusable() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) {
    cudaGetLastError();  // said once, not by the next launch again
    return cudaGetErrorString(status);
  }
  return devices > 0 ? "" : "no GPU was found";
}

}  // namespace tinygpt::ref_cuda
