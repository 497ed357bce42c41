// What the forward pass of a model and the inference engine share: the norm of either family, and
// the MLP. Parameters are pointers, so that it is all the same whose they are.
#pragma once

#include <cstdint>

#include "tinygpt/model/activations.h"
#include "tinygpt/model/config.h"
#include "tinygpt/model/linear.h"

namespace tinygpt {

template <class Real>
struct NormWeights {
  const Real* weight = nullptr;  // [C]
  const Real* bias = nullptr;    // [C]; gpt2
};

// place.out = norm(place.stream) for N rows
template <class Real>
void norm_forward(const Ops<Real>& ops, const GptConfig& c, const NormActivations<Real>& place,
                  const NormWeights<Real>& norm, int N) {
  if (c.family == Family::gpt2) {
    ops.layernorm_forward(place.out, place.mean, place.rstd, place.stream, norm.weight, norm.bias,
                          N, c.width, c.norm_eps);
  } else {
    ops.rmsnorm_forward(place.out, place.rstd, place.stream, norm.weight, N, c.width, c.norm_eps);
  }
}

// place.stream = before + branch, place.out = norm(place.stream); one operator where the table has
// it. place.stream may be `before` itself.
template <class Real>
void residual_norm_forward(const Ops<Real>& ops, const GptConfig& c,
                           const NormActivations<Real>& place, const Real* before,
                           const Real* branch, const NormWeights<Real>& norm, int N) {
  if (c.family == Family::gpt2 && ops.residual_layernorm_forward != nullptr) {
    ops.residual_layernorm_forward(place.out, place.stream, place.mean, place.rstd, before, branch,
                                   norm.weight, norm.bias, N, c.width, c.norm_eps);
  } else if (c.family == Family::llama && ops.residual_rmsnorm_forward != nullptr) {
    ops.residual_rmsnorm_forward(place.out, place.stream, place.rstd, before, branch, norm.weight,
                                 N, c.width, c.norm_eps);
  } else {
    ops.residual_forward(place.stream, before, branch, std::int64_t{N} * c.width);
    norm_forward(ops, c, place, norm, N);
  }
}

// branch [N, C] = down(act(up(x))): `pre` [N, up width] and `act` [N, hidden] are left for the
// backward pass.
template <class Real>
void mlp_forward(const Ops<Real>& ops, const GptConfig& c, const Linear<Real>& up,
                 const Linear<Real>& down, Real* branch, Real* pre, Real* act, const Real* x,
                 float* scratch, int N) {
  if (c.family == Family::gpt2) {
    linear_gelu_forward(ops, up, act, pre, x, scratch, N);
  } else {
    linear_forward(ops, up, pre, x, scratch, N);
    ops.swiglu_forward(act, pre, N, c.hidden);
  }
  linear_forward(ops, down, branch, act, scratch, N);
}

}  // namespace tinygpt
