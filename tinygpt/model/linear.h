// Linear: one linear layer of a model, and the one place where its kinds meet. Adapters (LoRA) and
// quantized weights plug in here: the blocks ask for out = linear(x) and never for a weight.
#pragma once

#include <cstdint>

#include "tinygpt/ops/ops.h"

namespace tinygpt {

template <class Real>
struct Linear {
  int in = 0;
  int out = 0;
  const Real* weight = nullptr;  // [out, in]
  const Real* bias = nullptr;    // [out], or nullptr for none
  float* dweight = nullptr;      // nullptr where gradients are not wanted
  float* dbias = nullptr;
  // Instead of weight and bias, for inference alone.
  const QuantizedMatrix* quantized = nullptr;
  const float* quantized_bias = nullptr;
};

// out [N, layer.out] written, x [N, layer.in]
template <class Real>
void linear_forward(const Ops<Real>& ops, const Linear<Real>& layer, Real* out, const Real* x,
                    float* scratch, int N) {
  if (layer.quantized != nullptr) {
    ops.quantized_linear_forward(out, x, *layer.quantized, layer.quantized_bias, scratch, N);
    return;
  }
  ops.linear_forward(out, x, layer.weight, layer.bias, scratch, N, layer.in, layer.out);
}

// pre = linear(x), out = gelu(pre); one operator where the table has it.
template <class Real>
void linear_gelu_forward(const Ops<Real>& ops, const Linear<Real>& layer, Real* out, Real* pre,
                         const Real* x, float* scratch, int N) {
  if (ops.linear_gelu_forward != nullptr && layer.quantized == nullptr) {
    ops.linear_gelu_forward(out, pre, x, layer.weight, layer.bias, scratch, N, layer.in, layer.out);
    return;
  }
  linear_forward(ops, layer, pre, x, scratch, N);
  ops.gelu_forward(out, pre, std::int64_t{N} * layer.out);
}

// dx [N, layer.in] accumulates (nullptr where it is not needed), dout [N, layer.out]
template <class Real>
void linear_backward(const Ops<Real>& ops, const Linear<Real>& layer, Real* dx, const Real* dout,
                     const Real* x, float* scratch, int N) {
  ops.linear_backward(dx, layer.dweight, layer.dbias, dout, x, layer.weight, scratch, N, layer.in,
                      layer.out);
}

}  // namespace tinygpt
