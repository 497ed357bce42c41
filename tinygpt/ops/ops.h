// The table of operators: one pointer each. The model calls ops.layernorm_forward(...) and never
// asks who answers.
//
// Real is the type of parameters and activations. Statistics, parameter gradients and the
// optimizer's state are float whatever Real is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/ops/adamw.h"
#include "tinygpt/ops/attention.h"
#include "tinygpt/ops/cross_entropy.h"
#include "tinygpt/ops/dropout.h"
#include "tinygpt/ops/embedding.h"
#include "tinygpt/ops/fused.h"
#include "tinygpt/ops/gelu.h"
#include "tinygpt/ops/gradient_norm.h"
#include "tinygpt/ops/kv_cache.h"
#include "tinygpt/ops/layernorm.h"
#include "tinygpt/ops/linear.h"
#include "tinygpt/ops/lora.h"
#include "tinygpt/ops/memory.h"
#include "tinygpt/ops/pass.h"
#include "tinygpt/ops/positions.h"
#include "tinygpt/ops/quantized.h"
#include "tinygpt/ops/residual.h"
#include "tinygpt/ops/rmsnorm.h"
#include "tinygpt/ops/rope.h"
#include "tinygpt/ops/sampling.h"
#include "tinygpt/ops/softmax.h"
#include "tinygpt/ops/swiglu.h"

namespace tinygpt {

template <class Real>
struct Ops {
  EmbeddingForward<Real>* embedding_forward = nullptr;
  EmbeddingBackward<Real>* embedding_backward = nullptr;
  LinearForward<Real>* linear_forward = nullptr;
  LinearBackward<Real>* linear_backward = nullptr;
  LinearScratchSize* linear_scratch_size = nullptr;
  ResidualForward<Real>* residual_forward = nullptr;
  ResidualBackward<Real>* residual_backward = nullptr;
  LayernormForward<Real>* layernorm_forward = nullptr;
  LayernormBackward<Real>* layernorm_backward = nullptr;
  NormScratchSize* layernorm_scratch_size = nullptr;
  RmsnormForward<Real>* rmsnorm_forward = nullptr;
  RmsnormBackward<Real>* rmsnorm_backward = nullptr;
  NormScratchSize* rmsnorm_scratch_size = nullptr;
  GeluForward<Real>* gelu_forward = nullptr;
  GeluBackward<Real>* gelu_backward = nullptr;
  SwigluForward<Real>* swiglu_forward = nullptr;
  SwigluBackward<Real>* swiglu_backward = nullptr;
  AttentionForward<Real>* attention_forward = nullptr;
  AttentionBackward<Real>* attention_backward = nullptr;
  AttentionScratchSize* attention_scratch_size = nullptr;
  LearnedPositionsForward<Real>* learned_positions_forward = nullptr;
  LearnedPositionsBackward<Real>* learned_positions_backward = nullptr;
  SinusoidalPositions<Real>* sinusoidal_positions = nullptr;
  RopeTable* rope_table = nullptr;
  RopeForward<Real>* rope_forward = nullptr;
  RopeBackward<Real>* rope_backward = nullptr;
  DropoutForward<Real>* dropout_forward = nullptr;
  DropoutBackward<Real>* dropout_backward = nullptr;
  SoftmaxForward<Real>* softmax_forward = nullptr;
  SoftmaxBackward<Real>* softmax_backward = nullptr;
  CrossEntropyForward<Real>* cross_entropy_forward = nullptr;
  SoftmaxCrossEntropyBackward<Real>* softmax_cross_entropy_backward = nullptr;
  AdamwStep<Real>* adamw_step = nullptr;
  GradientNorm* gradient_norm = nullptr;
  GradientNormScratchSize* gradient_norm_scratch_size = nullptr;
  ClipGradients* clip_gradients = nullptr;

  // For models with adapters alone: others do without them.
  LoraForward<Real>* lora_forward = nullptr;
  LoraBackward<Real>* lora_backward = nullptr;
  LoraMerge<Real>* lora_merge = nullptr;
  LoraScratchSize* lora_scratch_size = nullptr;

  // Fused, optional: nullptr where the implementation has none (fused.h).
  LinearGeluForward<Real>* linear_gelu_forward = nullptr;
  ResidualLayernormForward<Real>* residual_layernorm_forward = nullptr;
  ResidualRmsnormForward<Real>* residual_rmsnorm_forward = nullptr;
  LinearLoraForward<Real>* linear_lora_forward = nullptr;
  LinearBackwardWrite<Real>* linear_backward_write = nullptr;
  AttentionBackwardWrite<Real>* attention_backward_write = nullptr;
  AdamwClippedStep<Real>* adamw_clipped_step = nullptr;

  // Optional, for devices whose memory the host cannot read: elsewhere the host draws. Not visited
  // below, since there is nothing to mix.
  SampleToken<Real>* sample_token = nullptr;

  // Optional, for inference over a key-value cache (kv_cache.h).
  KvAppend<Real>* kv_append = nullptr;
  AttentionDecode<Real>* attention_decode = nullptr;
  AttentionDecodeScratchSize* attention_decode_scratch_size = nullptr;

  // For inference with quantized weights (quantized.h). What one packs only it can read, so these
  // are not mixed either.
  QuantizedPackedSize* quantized_packed_size = nullptr;
  QuantizedPack* quantized_pack = nullptr;
  QuantizedLinearForward<Real>* quantized_linear_forward = nullptr;
  QuantizedScratchSize* quantized_scratch_size = nullptr;

  // Optional hints about a pass (pass.h).
  KeepAwake* keep_awake = nullptr;
  ReadAhead* read_ahead = nullptr;
};

// Calls visit(group, member pointer) for every entry. A group is what is chosen together by name
// (--kernels cpu,softmax=ref): a forward pass, its backward pass and the size of their scratch. A
// fused entry belongs to no single group: its name is "fused".
template <class Real, class Visit>
void for_each_entry(Visit&& visit) {
  using O = Ops<Real>;
  visit("embedding", &O::embedding_forward);
  visit("embedding", &O::embedding_backward);
  visit("linear", &O::linear_forward);
  visit("linear", &O::linear_backward);
  visit("linear", &O::linear_scratch_size);
  visit("residual", &O::residual_forward);
  visit("residual", &O::residual_backward);
  visit("layernorm", &O::layernorm_forward);
  visit("layernorm", &O::layernorm_backward);
  visit("layernorm", &O::layernorm_scratch_size);
  visit("rmsnorm", &O::rmsnorm_forward);
  visit("rmsnorm", &O::rmsnorm_backward);
  visit("rmsnorm", &O::rmsnorm_scratch_size);
  visit("gelu", &O::gelu_forward);
  visit("gelu", &O::gelu_backward);
  visit("swiglu", &O::swiglu_forward);
  visit("swiglu", &O::swiglu_backward);
  visit("attention", &O::attention_forward);
  visit("attention", &O::attention_backward);
  visit("attention", &O::attention_scratch_size);
  visit("positions", &O::learned_positions_forward);
  visit("positions", &O::learned_positions_backward);
  visit("positions", &O::sinusoidal_positions);
  visit("rope", &O::rope_table);
  visit("rope", &O::rope_forward);
  visit("rope", &O::rope_backward);
  visit("dropout", &O::dropout_forward);
  visit("dropout", &O::dropout_backward);
  visit("softmax", &O::softmax_forward);
  visit("softmax", &O::softmax_backward);
  visit("cross_entropy", &O::cross_entropy_forward);
  visit("cross_entropy", &O::softmax_cross_entropy_backward);
  visit("adamw", &O::adamw_step);
  visit("gradient_norm", &O::gradient_norm);
  visit("gradient_norm", &O::gradient_norm_scratch_size);
  visit("gradient_norm", &O::clip_gradients);
  visit("lora", &O::lora_forward);
  visit("lora", &O::lora_backward);
  visit("lora", &O::lora_merge);
  visit("lora", &O::lora_scratch_size);
  visit("kv_cache", &O::kv_append);
  visit("kv_cache", &O::attention_decode);
  visit("kv_cache", &O::attention_decode_scratch_size);
  visit("fused", &O::linear_gelu_forward);
  visit("fused", &O::residual_layernorm_forward);
  visit("fused", &O::residual_rmsnorm_forward);
  visit("fused", &O::linear_lora_forward);
  visit("fused", &O::linear_backward_write);
  visit("fused", &O::attention_backward_write);
  visit("fused", &O::adamw_clipped_step);
}

// A table by its name, for mixing: {"ref", ref::ops()}, {"cpu", cpu::ops()}, {"mine", ...}.
struct NamedOps {
  std::string name;
  Ops<float> ops;
};

// Reads "cpu", "ref" or "cpu,softmax=ref,attention=mine": the first name is the table to start
// from, each assignment takes one group from another. Throws Error on an unknown table or group,
// naming those that exist, and on a group that the table does not have. An assignment also drops
// the fused entries that would bypass the group chosen.
Ops<float> mix_ops(const std::vector<NamedOps>& tables, std::string_view choice);

}  // namespace tinygpt
