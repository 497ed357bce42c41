// Low-rank adapters (ops/lora.h) beside a model's linear layers. An adapter is a small set of
// parameters of its own: the model's stay as they are, and several adapters may lie beside one
// model, of which `model.adapter` names the one that computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/model/gpt.h"
#include "tinygpt/model/linear.h"

namespace tinygpt {

// The adapter of one module, as transformers names modules. Our linear layers may hold several of
// them as consecutive rows: LLaMA's q, k and v, gate and up.
struct AdapterPart {
  std::string module;       // "transformer.h.0.attn.c_attn", "model.layers.0.self_attn.q_proj"
  std::int64_t weight = 0;  // of the first of its rows in the model's parameter buffer
  int in = 0;               // C
  int out = 0;              // OC, rows of the weight
  std::int64_t a = 0;       // of A [rank, in] in the adapter's buffers
  std::int64_t b = 0;       // of B [out, rank]
};

struct AdapterLayout {
  int rank = 0;
  float scale = 1;                 // alpha / rank
  float dropout = 0;               // of the adapter's input, while it is trained
  std::vector<AdapterPart> parts;  // in the order of the model's parameters
  std::int64_t total = 0;          // values in the buffer, padding between tensors included

  std::int64_t parameters() const;  // values without the padding
};

// Every module that can be adapted: the linear layers of all blocks, in the model's order.
std::vector<AdapterPart> adaptable_modules(const GptConfig& config);

// Places A and B of each part. Throws Error unless rank, scale and dropout are in range.
AdapterLayout make_adapter_layout(std::vector<AdapterPart> parts, int rank, float scale,
                                  float dropout);

template <class Real>
struct Adapter {
  AdapterLayout layout;
  Memory memory;
  int rows = 0;             // B * T of the largest pass
  DeviceBuffer parameters;  // layout.total values of Real
  DeviceBuffer gradients;   // layout.total floats; empty for inference
  DeviceBuffer saved;       // x A^T of each part, [rows, rank] floats; of all parts for inference
  DeviceBuffer dropped;     // an input that dropout has thinned, and its gradient, [rows, C] each
  DeviceBuffer scratch;     // of the operators
  DeviceBuffer discarded;   // where the frozen norms' gradients go, which nobody reads

  Real* params() const { return static_cast<Real*>(parameters.data()); }
  float* grads() const { return static_cast<float*>(gradients.data()); }
};

// Allocates an adapter for passes of up to `rows` tokens of the model, which must be made for
// inference or, to train the adapter, with Purpose::adapting. Its parameters are zero: it does
// nothing until it is trained or loaded. Throws Error where the model's table has no operators for
// it, or memory does not suffice.
template <class Real>
Adapter<Real> make_adapter(const AdapterLayout& layout, const Gpt<Real>& model, int rows);

// Adds scale B A of the adapter in use to the model's weights, and takes the adapter out of use:
// from here on the plain model computes what both did, to rounding. Throws Error where there is
// none, so that nothing is added twice.
template <class Real>
void merge_adapter(Gpt<Real>& model);

// The reverse, to rounding: takes the adapter out of the weights, and into use again.
template <class Real>
void unmerge_adapter(Gpt<Real>& model, Adapter<Real>& adapter);

// Puts what the adapter in use has for this layer into it. `weight` is where the layer's weight
// begins in the parameter buffer.
template <class Real>
void attach_adapter(Linear<Real>& layer, const Gpt<Real>& model, std::int64_t weight);

// What a training changes: the model's own parameters, or the adapter's where the model is frozen.
template <class Real>
struct Trained {
  Real* values = nullptr;
  float* gradients = nullptr;
  std::int64_t total = 0;
};
template <class Real>
Trained<Real> trained_part(const Gpt<Real>& model);

// Bytes that make_adapter takes: parameters, gradients, the optimizer's moments, and all the rest.
struct AdapterLedger {
  std::int64_t parameters = 0, gradients = 0, optimizer = 0, activations = 0;
  std::int64_t total = 0;
};
AdapterLedger adapter_ledger(const AdapterLayout& layout, const GptConfig& config,
                             const Ops<float>& ops, Purpose purpose, int rows);

}  // namespace tinygpt
