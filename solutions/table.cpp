#include "solutions/table.h"

#include "solutions/02-embedding/embedding.h"
#include "solutions/03-matmul/matmul.h"
#include "solutions/04-bigram/softmax.h"
#include "solutions/05-backprop/backprop.h"
#include "solutions/08-multi-head/attention.h"
#include "solutions/09-position/position.h"
#include "solutions/10-block/block.h"
#include "solutions/13-training-loop/optimizer.h"
#include "solutions/19-lora/lora.h"
#include "solutions/23-kv-cache/kv_cache.h"
#include "solutions/24-quantized-inference/quantized.h"

namespace tinygpt::ref {

Ops<float> ops() {
  Ops<float> table;
  table.embedding_forward = embedding_forward;
  table.embedding_backward = embedding_backward;
  table.linear_forward = linear_forward;
  table.linear_backward = linear_backward;
  table.linear_scratch_size = linear_scratch_size;
  table.residual_forward = residual_forward;
  table.residual_backward = residual_backward;
  table.layernorm_forward = layernorm_forward;
  table.layernorm_backward = layernorm_backward;
  table.layernorm_scratch_size = norm_scratch_size;
  table.rmsnorm_forward = rmsnorm_forward;
  table.rmsnorm_backward = rmsnorm_backward;
  table.rmsnorm_scratch_size = norm_scratch_size;
  table.gelu_forward = gelu_forward;
  table.gelu_backward = gelu_backward;
  table.swiglu_forward = swiglu_forward;
  table.swiglu_backward = swiglu_backward;
  table.attention_forward = multihead_attention_forward;
  table.attention_backward = multihead_attention_backward;
  table.attention_scratch_size = attention_scratch_size;
  table.learned_positions_forward = learned_positions_forward;
  table.learned_positions_backward = learned_positions_backward;
  table.sinusoidal_positions = sinusoidal_positions;
  table.rope_table = rope_table;
  table.rope_forward = rope_forward;
  table.rope_backward = rope_backward;
  table.dropout_forward = dropout_forward;
  table.dropout_backward = dropout_backward;
  table.softmax_forward = softmax_forward;
  table.softmax_backward = softmax_backward;
  table.cross_entropy_forward = cross_entropy_forward;
  table.softmax_cross_entropy_backward = softmax_cross_entropy_backward;
  table.adamw_step = adamw_step;
  table.gradient_norm = gradient_norm;
  table.gradient_norm_scratch_size = gradient_norm_scratch_size;
  table.clip_gradients = clip_gradients;
  table.lora_forward = lora_forward;
  table.lora_backward = lora_backward;
  table.lora_merge = lora_merge;
  table.lora_scratch_size = lora_scratch_size;
  table.quantized_packed_size = quantized_packed_size;
  table.quantized_pack = quantized_pack;
  table.quantized_linear_forward = quantized_linear_forward;
  table.quantized_scratch_size = quantized_scratch_size;
  table.kv_append = kv_append;
  table.attention_decode = attention_decode;
  table.attention_decode_scratch_size = attention_decode_scratch_size;
  return table;
}

}  // namespace tinygpt::ref
