// The parts of the model, forward and backward.
#pragma once

#include <cstdint>

#include "tinygpt/model/activations.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/model/linear.h"

namespace tinygpt {

// What every part of one pass over B x T tokens shares.
template <class Real>
struct Pass {
  const Gpt<Real>& model;
  const Activations<Real>& acts;
  float* scratch = nullptr;
  int B = 0;
  int T = 0;
  int N = 0;          // B * T
  float dropout = 0;  // 0 unless this is a training pass
};

// The first place of the residual stream: token embeddings, positions, dropout.
template <class Real>
void embed_forward(const Pass<Real>& pass);
template <class Real>
void embed_backward(const Pass<Real>& pass);

// Attention of block l: acts.branch = proj(attention(qkv(norm1.out))), with dropout.
// Backward takes acts.dstream, the gradient of the stream after the branch was added, and leaves
// there the gradient of the stream before it.
template <class Real>
void attention_branch_forward(const Pass<Real>& pass, int l);
template <class Real>
void attention_branch_backward(const Pass<Real>& pass, int l);

// MLP of block l: acts.branch = down(act(up(norm2.out))), with dropout. Backward as above.
template <class Real>
void mlp_branch_forward(const Pass<Real>& pass, int l);
template <class Real>
void mlp_branch_backward(const Pass<Real>& pass, int l);

// place.out = norm(place.stream)
struct NormOffsets {
  std::int64_t weight = -1, bias = -1;
};
template <class Real>
void norm_forward(const Pass<Real>& pass, const NormActivations<Real>& place, NormOffsets norm);

// place.stream = before.stream + acts.branch, place.out = norm(place.stream)
template <class Real>
void residual_norm_forward(const Pass<Real>& pass, const NormActivations<Real>& place,
                           const NormActivations<Real>& before, NormOffsets norm);

// acts.dstream += the gradient of the norm's input, where acts.dbranch is that of its output.
template <class Real>
void norm_backward(const Pass<Real>& pass, const NormActivations<Real>& place, NormOffsets norm);

// acts.logits [rows, V] = head(norm_f.out[first_row ...])
template <class Real>
void head_forward(const Pass<Real>& pass, int first_row, int rows);

// Where acts.logits holds the gradient of the logits: acts.dstream = that of the last stream.
template <class Real>
void head_backward(const Pass<Real>& pass);

}  // namespace tinygpt
