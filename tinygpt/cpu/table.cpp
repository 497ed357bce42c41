#include "solutions/table.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/level.h"
#include "tinygpt/cpu/team.h"

namespace tinygpt::cpu {
namespace {

// The tables of sinusoidal and rotary positions stay the reference's: they are made once.
Ops<float> fast_ops() {
  Ops<float> ops = ref::ops();
  ops.embedding_forward = embedding_forward;
  ops.embedding_backward = embedding_backward;
  ops.linear_forward = linear_forward;
  ops.linear_backward = linear_backward;
  ops.linear_scratch_size = linear_scratch_size;
  ops.residual_forward = residual_forward;
  ops.residual_backward = residual_backward;
  ops.layernorm_forward = layernorm_forward;
  ops.layernorm_backward = layernorm_backward;
  ops.layernorm_scratch_size = layernorm_scratch_size;
  ops.rmsnorm_forward = rmsnorm_forward;
  ops.rmsnorm_backward = rmsnorm_backward;
  ops.rmsnorm_scratch_size = rmsnorm_scratch_size;
  ops.gelu_forward = gelu_forward;
  ops.gelu_backward = gelu_backward;
  ops.swiglu_forward = swiglu_forward;
  ops.swiglu_backward = swiglu_backward;
  ops.attention_forward = attention_forward;
  ops.attention_backward = attention_backward;
  ops.attention_scratch_size = attention_scratch_size;
  ops.learned_positions_forward = learned_positions_forward;
  ops.learned_positions_backward = learned_positions_backward;
  ops.rope_forward = rope_forward;
  ops.rope_backward = rope_backward;
  ops.dropout_forward = dropout_forward;
  ops.dropout_backward = dropout_backward;
  ops.softmax_forward = softmax_forward;
  ops.softmax_backward = softmax_backward;
  ops.cross_entropy_forward = cross_entropy_forward;
  ops.softmax_cross_entropy_backward = softmax_cross_entropy_backward;
  ops.adamw_step = adamw_step;
  ops.gradient_norm = gradient_norm;
  ops.gradient_norm_scratch_size = gradient_norm_scratch_size;
  ops.clip_gradients = clip_gradients;
  ops.lora_forward = lora_forward;
  ops.lora_backward = lora_backward;
  ops.lora_merge = lora_merge;
  ops.lora_scratch_size = lora_scratch_size;
  ops.linear_gelu_forward = linear_gelu_forward;
  ops.linear_backward_write = linear_backward_write;
  ops.attention_backward_write = attention_backward_write;
  ops.adamw_clipped_step = adamw_clipped_step;
  ops.residual_layernorm_forward = residual_layernorm_forward;
  ops.residual_rmsnorm_forward = residual_rmsnorm_forward;
  ops.quantized_packed_size = quantized_packed_size;
  ops.quantized_pack = quantized_pack;
  ops.quantized_linear_forward = quantized_linear_forward;
  ops.quantized_scratch_size = quantized_scratch_size;
  ops.kv_append = kv_append;
  ops.attention_decode = attention_decode;
  ops.attention_decode_scratch_size = attention_decode_scratch_size;
  ops.keep_awake = keep_awake;
  ops.read_ahead = read_ahead;
  return ops;
}

Ops<float> with_bf16_products() {
  Ops<float> ops = fast_ops();
  ops.linear_forward = bf16_products::linear_forward;
  ops.linear_backward = bf16_products::linear_backward;
  ops.linear_scratch_size = bf16_products::linear_scratch_size;
  ops.linear_gelu_forward = bf16_products::linear_gelu_forward;
  ops.linear_backward_write = bf16_products::linear_backward_write;
  return ops;
}

}  // namespace

CpuKernels compiled_kernels() { return {fast_ops(), with_bf16_products(), measure_vector_peak}; }

}  // namespace tinygpt::cpu
