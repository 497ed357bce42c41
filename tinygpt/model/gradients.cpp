// How the gradients of a step begin.
#include <string>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt {

template <class Real>
void zero_gradients(Gpt<Real>& m) {
  const Trained<Real> trained = trained_part(m);
  m.memory.zero(trained.gradients, static_cast<std::size_t>(trained.total) * sizeof(float));
  m.fresh_gradients = false;
}

template <class Real>
void start_gradients(Gpt<Real>& m) {
  if (m.purpose != Purpose::training || m.ops.linear_backward_write == nullptr) {
    zero_gradients(m);
    return;
  }
  // Embeddings and norms add to what is there; a table that is the head as well is written first.
  for (const Parameter& p : m.layout.parameters) {
    const bool of_linear = p.name.find(".attn.") != std::string::npos ||
                           p.name.find(".mlp.") != std::string::npos || p.offset == m.layout.head;
    if (of_linear) continue;
    m.memory.zero(m.grads() + p.offset, static_cast<std::size_t>(p.size()) * sizeof(float));
  }
  m.fresh_gradients = true;
}

template void zero_gradients(Gpt<float>&);
template void start_gradients(Gpt<float>&);
template void zero_gradients(Gpt<Bfloat16>&);
template void start_gradients(Gpt<Bfloat16>&);

}  // namespace tinygpt
