// A model's weights as the engine reads them: pointers, whoever owns what they point to.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "tinygpt/io/gguf.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/model/linear.h"
#include "tinygpt/model/pieces.h"

namespace tinygpt {

template <class Real>
struct BlockWeights {
  NormWeights<Real> norm1, norm2;
  Linear<Real> qkv, proj, up, down;
};

// A view: what it points to must live as long as whatever computes with it.
template <class Real>
struct ModelWeights {
  GptConfig config{};
  Ops<Real> ops{};
  Memory memory{};
  // Token embeddings [V, C]: in the device's memory, or rows of a mapped file that are turned into
  // floats when they are needed.
  const Real* wte = nullptr;
  const GgufTensor* wte_rows = nullptr;
  const Real* wpe = nullptr;  // [context_length, C]; gpt2
  std::vector<BlockWeights<Real>> blocks{};
  NormWeights<Real> norm_f{};
  Linear<Real> head{};
  std::int64_t bytes = 0;  // of all weights, wherever they are
  // Of all products for one token: multiplications, and bytes of weights.
  std::int64_t multiplications = 0, product_bytes = 0;
};

// Bytes of the device's memory that they take, known before any of them is read.
std::int64_t gguf_weight_bytes(const GgufFile& file, const Ops<float>& ops);

// Counts what the products take and tells every layer what is read after it.
template <class Real>
void link_layers(ModelWeights<Real>& weights);

// out [C] = row `token` of a file's embedding.
void read_embedding_row(std::span<float> out, const GgufTensor& embedding, int token);

// With the adapter in use at this time (model.adapter), which must be made for as many rows as the
// engine takes at once. Views with several adapters may be made of one model: an engine computes
// with the one that is assigned to its `weights`.
template <class Real>
ModelWeights<Real> weights_of(const Gpt<Real>& model);

// The weights of a GGUF file. Linear layers that are quantized there stay so: they are packed for
// the kernels and never held as floats; rows of quantized embeddings are read from the mapped file.
// The rest (norms, biases, positions, linears in F32, F16 or BF16) is held in floats.
struct GgufWeights {
  GgufFile file;
  DeviceBuffer floats, packed;
  std::vector<QuantizedMatrix> matrices;
  ModelWeights<float> weights;
};

// Throws Error as read_gguf_config and load_gguf do, and where the chosen kernels cannot compute
// with quantized weights. (By pointer, since the view points into it.)
std::unique_ptr<GgufWeights> open_gguf_weights(const std::filesystem::path& path,
                                               const Ops<float>& ops, const Memory& memory);

}  // namespace tinygpt
