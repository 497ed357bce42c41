// Where each activation lies in the arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinygpt/model/gpt.h"

namespace tinygpt {

// A place of the residual stream and its normalisation, of which each block has two.
template <class Real>
struct NormActivations {
  Real* stream = nullptr;  // [N, C]
  Real* out = nullptr;     // [N, C]
  float* mean = nullptr;   // [N]; LayerNorm
  float* rstd = nullptr;   // [N]
};

template <class Real>
struct BlockActivations {
  NormActivations<Real> norm1;
  Real* qkv = nullptr;   // [N, (NH + 2 NKV) HS]; q and k already turned where positions are rotary
  float* lse = nullptr;  // [B, NH, T]
  Real* att = nullptr;   // [N, C]
  NormActivations<Real> norm2;
  Real* up = nullptr;   // [N, hidden]; llama [N, 2 hidden]
  Real* act = nullptr;  // [N, hidden]
};

// N = B * T. For inference all blocks share the buffers of one; for training each has its own, and
// the gradients of all blocks share one set.
template <class Real>
struct Activations {
  int* tokens = nullptr;    // [N]
  int* targets = nullptr;   // [N]
  float* losses = nullptr;  // [N]
  float* lse = nullptr;     // [N]; of the cross-entropy
  float* cosine = nullptr;  // [T, HS / 2]; of the rotary positions, filled once
  float* sine = nullptr;    // [T, HS / 2]
  std::vector<BlockActivations<Real>> blocks;
  NormActivations<Real> norm_f;
  Real* branch = nullptr;  // [N, C]; what a block's branch adds to the stream
  Real* logits = nullptr;  // [logit_rows, V]; the gradients dqkv ... dup lie in the same place
  int logit_rows = 0;      // N for training; for inference the head runs over as many rows at once

  // For training.
  Real* dstream = nullptr;  // [N, C]
  Real* dbranch = nullptr;  // [N, C]; the same place as branch
  Real* dqkv = nullptr;     // [N, (NH + 2 NKV) HS]
  Real* datt = nullptr;     // [N, C]
  Real* dup = nullptr;      // as up
  Real* dact = nullptr;     // [N, hidden]

  std::int64_t bytes = 0;  // of the whole arena
};

// Lays every tensor out for sequences of up to B x T tokens. With base == nullptr nothing has an
// address and `bytes` says how large the arena must be: the same function is the memory ledger.
template <class Real>
Activations<Real> plan_activations(const GptConfig& config, Purpose purpose, int B, int T,
                                   void* base);

// Floats of scratch for the largest operator of a pass over B x T tokens whose head runs over
// logit_rows rows at once. Asked before each pass: an operator's scratch need not shrink with its
// shape, and depends on the number of threads.
template <class Real>
std::int64_t scratch_floats(const GptConfig& config, const Ops<Real>& ops, Purpose purpose, int B,
                            int T, int logit_rows);

// B * T, checked: operators count rows in int.
int token_count(int B, int T);

}  // namespace tinygpt
