#include "tinygpt/infer/model_weights.h"

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/model/adapter.h"

namespace tinygpt {
namespace {

template <class Real>
Linear<Real> linear_at(const Gpt<Real>& m, std::int64_t weight, std::int64_t bias, int in,
                       int out) {
  Linear<Real> layer{in, out};
  layer.weight = m.params() + weight;
  if (bias >= 0) layer.bias = m.params() + bias;
  attach_adapter(layer, m, weight);
  return layer;
}

template <class Real>
NormWeights<Real> norm_at(const Real* params, std::int64_t weight, std::int64_t bias) {
  return {params + weight, bias < 0 ? nullptr : params + bias};
}

}  // namespace

template <class Real>
ModelWeights<Real> weights_of(const Gpt<Real>& m) {
  const GptConfig& c = m.config;
  const ParameterLayout& layout = m.layout;
  const Real* p = m.params();
  ModelWeights<Real> w{c, m.ops, m.memory};
  w.wte = p + layout.wte;
  if (layout.wpe >= 0) w.wpe = p + layout.wpe;
  for (const BlockOffsets& b : layout.blocks) {
    w.blocks.push_back({norm_at(p, b.norm1_weight, b.norm1_bias),
                        norm_at(p, b.norm2_weight, b.norm2_bias),
                        linear_at(m, b.qkv_weight, b.qkv_bias, c.width, c.qkv_width()),
                        linear_at(m, b.proj_weight, b.proj_bias, c.width, c.width),
                        linear_at(m, b.up_weight, b.up_bias, c.width, c.up_width()),
                        linear_at(m, b.down_weight, b.down_bias, c.hidden, c.width)});
  }
  w.norm_f = norm_at(p, layout.norm_f_weight, layout.norm_f_bias);
  w.head = linear_at(m, layout.head, -1, c.width, c.vocab_size);
  w.bytes = layout.total * std::int64_t{sizeof(Real)};
  link_layers(w);
  return w;
}

template <class Real>
void link_layers(ModelWeights<Real>& w) {
  std::vector<Linear<Real>*> layers;
  for (BlockWeights<Real>& b : w.blocks) {
    layers.insert(layers.end(), {&b.qkv, &b.proj, &b.up, &b.down});
  }
  layers.push_back(&w.head);
  w.multiplications = w.product_bytes = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    w.multiplications += std::int64_t{layers[i]->in} * layers[i]->out;
    const Linear<Real>& next = *layers[(i + 1) % layers.size()];
    if (const QuantizedMatrix* q = next.quantized) {
      layers[i]->next = q->packed;
      layers[i]->next_bytes = w.ops.quantized_packed_size(q->type, q->rows, q->cols);
    } else {
      layers[i]->next = next.weight;
      layers[i]->next_bytes = std::int64_t{next.in} * next.out * std::int64_t{sizeof(Real)};
    }
    w.product_bytes += layers[i]->next_bytes;
  }
}

template void link_layers(ModelWeights<float>&);
template void link_layers(ModelWeights<Bfloat16>&);
template ModelWeights<float> weights_of(const Gpt<float>&);
template ModelWeights<Bfloat16> weights_of(const Gpt<Bfloat16>&);

}  // namespace tinygpt
