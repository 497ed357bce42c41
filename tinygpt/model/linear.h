// Linear: one linear layer of a model, and the one place where its kinds meet. Adapters (LoRA) and
// quantized weights plug in here: the blocks ask for out = linear(x) and never for a weight.
#pragma once

#include <array>
#include <cstdint>

#include "tinygpt/ops/ops.h"

namespace tinygpt {

// A low-rank adapter (ops/lora.h) of rows first .. first + out - 1 of a layer's weight.
template <class Real>
struct LinearAdapter {
  int first = 0;
  int out = 0;
  int rank = 0;
  float scale = 1;
  const Real* a = nullptr;  // [rank, in]
  const Real* b = nullptr;  // [out, rank]
  float* da = nullptr;      // nullptr where gradients are not wanted
  float* db = nullptr;
  float* ax = nullptr;       // [N, rank]; forward leaves it for backward
  float* scratch = nullptr;  // lora_scratch_size(...) floats
  // Of the adapter's input in a training pass, where it is not 0.
  float dropout = 0;
  std::uint64_t seed = 0, stream = 0;
  Real* dropped = nullptr;   // [N, in]
  Real* ddropped = nullptr;  // [N, in]
  const Memory* memory = nullptr;
};

template <class Real>
struct Linear {
  int in = 0;
  int out = 0;
  const Real* weight = nullptr;  // [out, in]
  const Real* bias = nullptr;    // [out], or nullptr for none
  float* dweight = nullptr;      // nullptr where gradients are not wanted
  float* dbias = nullptr;
  bool fresh = false;  // dweight and dbias hold nothing yet: linear_backward_write writes them
  // Instead of weight and bias, for inference alone.
  const QuantizedMatrix* quantized = nullptr;
  const float* quantized_bias = nullptr;
  // The weights that are read after this layer's, a hint (ops/pass.h); nullptr where nobody says.
  const void* next = nullptr;
  std::int64_t next_bytes = 0;
  // Beside the one or the other: of all rows, or of three consecutive ranges (q, k and v) at most.
  std::array<LinearAdapter<Real>, 3> adapters{};
  int adapter_count = 0;
};

// out[n, first ...] += scale * (dropout(x) A^T) B^T
template <class Real>
void linear_adapter_forward(const Ops<Real>& ops, const Linear<Real>& layer,
                            const LinearAdapter<Real>& l, Real* out, const Real* x, int N) {
  const Real* input = x;
  if (l.dropout > 0) {
    ops.dropout_forward(l.dropped, x, std::int64_t{N} * layer.in, l.dropout, l.seed, l.stream);
    input = l.dropped;
  }
  ops.lora_forward(out + l.first, l.ax, input, l.a, l.b, l.scratch, N, layer.in, l.out, layer.out,
                   l.rank, l.scale);
}

// The mask is made again, and so is the thinned input, which all layers share one place for.
template <class Real>
void linear_adapter_backward(const Ops<Real>& ops, const Linear<Real>& layer,
                             const LinearAdapter<Real>& l, Real* dx, const Real* dout,
                             const Real* x, int N) {
  const Real* d = dout + l.first;
  if (l.dropout == 0) {
    ops.lora_backward(dx, l.da, l.db, d, l.ax, x, l.a, l.b, l.scratch, N, layer.in, l.out,
                      layer.out, l.rank, l.scale);
    return;
  }
  const std::int64_t n = std::int64_t{N} * layer.in;
  ops.dropout_forward(l.dropped, x, n, l.dropout, l.seed, l.stream);
  l.memory->zero(l.ddropped, static_cast<std::size_t>(n) * sizeof(Real));
  ops.lora_backward(l.ddropped, l.da, l.db, d, l.ax, l.dropped, l.a, l.b, l.scratch, N, layer.in,
                    l.out, layer.out, l.rank, l.scale);
  if (dx != nullptr) ops.dropout_backward(dx, l.ddropped, n, l.dropout, l.seed, l.stream);
}

// Whether one operator of the table does layer and adapter at once.
template <class Real>
bool is_one_product(const Ops<Real>& ops, const Linear<Real>& layer) {
  return ops.linear_lora_forward != nullptr && layer.quantized == nullptr &&
         layer.adapter_count == 1 && layer.adapters[0].out == layer.out &&
         layer.adapters[0].dropout == 0;
}

// out [N, layer.out] written, x [N, layer.in]
template <class Real>
void linear_forward(const Ops<Real>& ops, const Linear<Real>& layer, Real* out, const Real* x,
                    float* scratch, int N) {
  if (layer.next != nullptr && ops.read_ahead != nullptr) {
    ops.read_ahead(layer.next, layer.next_bytes);
  }
  if (layer.quantized != nullptr) {
    ops.quantized_linear_forward(out, x, *layer.quantized, layer.quantized_bias, scratch, N);
  } else if (is_one_product(ops, layer)) {
    const LinearAdapter<Real>& l = layer.adapters[0];
    ops.linear_lora_forward(out, l.ax, x, layer.weight, layer.bias, l.a, l.b, l.scratch, N,
                            layer.in, layer.out, l.rank, l.scale);
    return;
  } else {
    ops.linear_forward(out, x, layer.weight, layer.bias, scratch, N, layer.in, layer.out);
  }
  for (int i = 0; i < layer.adapter_count; ++i) {
    linear_adapter_forward(ops, layer, layer.adapters[static_cast<std::size_t>(i)], out, x, N);
  }
}

// pre = linear(x), out = gelu(pre); one operator where the table has it.
template <class Real>
void linear_gelu_forward(const Ops<Real>& ops, const Linear<Real>& layer, Real* out, Real* pre,
                         const Real* x, float* scratch, int N) {
  if (ops.linear_gelu_forward != nullptr && layer.quantized == nullptr &&
      layer.adapter_count == 0) {
    ops.linear_gelu_forward(out, pre, x, layer.weight, layer.bias, scratch, N, layer.in, layer.out);
    return;
  }
  linear_forward(ops, layer, pre, x, scratch, N);
  ops.gelu_forward(out, pre, std::int64_t{N} * layer.out);
}

template <class Real>
void linear_adapters_backward(const Ops<Real>& ops, const Linear<Real>& layer, Real* dx,
                              const Real* dout, const Real* x, int N) {
  for (int i = 0; i < layer.adapter_count; ++i) {
    linear_adapter_backward(ops, layer, layer.adapters[static_cast<std::size_t>(i)], dx, dout, x,
                            N);
  }
}

// dx [N, layer.in] accumulates (nullptr where it is not needed), dout [N, layer.out]
template <class Real>
void linear_backward(const Ops<Real>& ops, const Linear<Real>& layer, Real* dx, const Real* dout,
                     const Real* x, float* scratch, int N) {
  ops.linear_backward(dx, layer.dweight, layer.dbias, dout, x, layer.weight, scratch, N, layer.in,
                      layer.out);
  linear_adapters_backward(ops, layer, dx, dout, x, N);
}

// The same where dx holds nothing yet and is written; one operator where the table has it. With
// `pre` [N, layer.in], where x = gelu(pre), dx is the gradient by pre, and `dgelu` [N, layer.in] is
// room for what lies between.
template <class Real>
void linear_backward_write(const Ops<Real>& ops, const Linear<Real>& layer, const Memory& memory,
                           Real* dx, const Real* dout, const Real* x, float* scratch, int N,
                           const Real* pre = nullptr, Real* dgelu = nullptr) {
  const std::int64_t n = std::int64_t{N} * layer.in;
  // An adapter adds to the gradient before it goes through the GELU.
  const bool fused = ops.linear_backward_write != nullptr;
  const bool gelu_after = pre != nullptr && (!fused || layer.adapter_count > 0);
  Real* const to = gelu_after ? dgelu : dx;
  if (fused) {
    ops.linear_backward_write(to, layer.dweight, layer.dbias, dout, x, gelu_after ? nullptr : pre,
                              layer.weight, scratch, N, layer.in, layer.out, !layer.fresh);
    linear_adapters_backward(ops, layer, to, dout, x, N);
  } else {
    memory.zero(to, static_cast<std::size_t>(n) * sizeof(Real));
    linear_backward(ops, layer, to, dout, x, scratch, N);
  }
  if (!gelu_after) return;
  memory.zero(dx, static_cast<std::size_t>(n) * sizeof(Real));
  ops.gelu_backward(dx, dgelu, pre, n);
}

}  // namespace tinygpt
