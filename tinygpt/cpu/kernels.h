// The fast operators, declared by their contracts' function types (tinygpt/ops).
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::cpu {

EmbeddingForward<float> embedding_forward;
EmbeddingBackward<float> embedding_backward;
LinearForward<float> linear_forward;
LinearBackward<float> linear_backward;
LinearScratchSize linear_scratch_size;
ResidualForward<float> residual_forward;
ResidualBackward<float> residual_backward;
LayernormForward<float> layernorm_forward;
LayernormBackward<float> layernorm_backward;
NormScratchSize layernorm_scratch_size;
RmsnormForward<float> rmsnorm_forward;
RmsnormBackward<float> rmsnorm_backward;
NormScratchSize rmsnorm_scratch_size;
GeluForward<float> gelu_forward;
GeluBackward<float> gelu_backward;
SwigluForward<float> swiglu_forward;
SwigluBackward<float> swiglu_backward;
AttentionForward<float> attention_forward;
AttentionBackward<float> attention_backward;
AttentionScratchSize attention_scratch_size;
LearnedPositionsForward<float> learned_positions_forward;
LearnedPositionsBackward<float> learned_positions_backward;
RopeForward<float> rope_forward;
RopeBackward<float> rope_backward;
DropoutForward<float> dropout_forward;
DropoutBackward<float> dropout_backward;
SoftmaxForward<float> softmax_forward;
SoftmaxBackward<float> softmax_backward;
CrossEntropyForward<float> cross_entropy_forward;
SoftmaxCrossEntropyBackward<float> softmax_cross_entropy_backward;
AdamwStep<float> adamw_step;
GradientNorm gradient_norm;
GradientNormScratchSize gradient_norm_scratch_size;
ClipGradients clip_gradients;
LoraForward<float> lora_forward;
LoraBackward<float> lora_backward;
LoraMerge<float> lora_merge;
LoraScratchSize lora_scratch_size;
LinearGeluForward<float> linear_gelu_forward;
LinearBackwardWrite<float> linear_backward_write;
AttentionBackwardWrite<float> attention_backward_write;
AdamwClippedStep<float> adamw_clipped_step;
ResidualLayernormForward<float> residual_layernorm_forward;
ResidualRmsnormForward<float> residual_rmsnorm_forward;
QuantizedPackedSize quantized_packed_size;
QuantizedPack quantized_pack;
QuantizedLinearForward<float> quantized_linear_forward;
QuantizedScratchSize quantized_scratch_size;
KvAppend<float> kv_append;
AttentionDecode<float> attention_decode;
AttentionDecodeScratchSize attention_decode_scratch_size;

// The linear layer whose products round their operands to bf16 (table.h).
namespace bf16_products {
LinearForward<float> linear_forward;
LinearBackward<float> linear_backward;
LinearScratchSize linear_scratch_size;
LinearGeluForward<float> linear_gelu_forward;
LinearBackwardWrite<float> linear_backward_write;
}  // namespace bf16_products

}  // namespace tinygpt::cpu
