#include "tinygpt/model/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/file_tensors.h"

namespace tinygpt {
namespace {

constexpr std::int64_t kAlignment = 16;  // floats in a cache line
constexpr int kMaxRank = 1 << 16;

std::int64_t aligned(std::int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

std::int64_t add(std::int64_t& total, std::int64_t size) {
  return std::exchange(total, total + aligned(size));
}

// Values of each buffer. What a part saves for its backward pass has a place of its own only while
// the adapter is trained.
struct Sizes {
  std::int64_t saved_stride = 0, saved = 0, dropped = 0, scratch = 0, discarded = 0;
};

template <class Real>
Sizes sizes_of(const AdapterLayout& layout, const GptConfig& c, const Ops<Real>& ops, bool trained,
               int rows) {
  Sizes s;
  const std::int64_t one = aligned(std::int64_t{rows} * layout.rank);
  s.saved_stride = trained ? one : 0;
  s.saved = trained ? one * static_cast<std::int64_t>(layout.parts.size()) : one;
  int widest = 0;
  for (const AdapterPart& p : layout.parts) {
    s.scratch = std::max(s.scratch, ops.lora_scratch_size(rows, p.in, p.out, layout.rank));
    widest = std::max(widest, p.in);
  }
  if (!trained) return s;
  if (layout.dropout > 0) s.dropped = 2 * aligned(std::int64_t{rows} * widest);
  s.discarded = aligned(c.width);
  return s;
}

template <class T>
DeviceBuffer zeroed(const Memory& memory, std::int64_t n) {
  DeviceBuffer buffer(memory, n * std::int64_t{sizeof(T)});
  if (n > 0) memory.zero(buffer.data(), static_cast<std::size_t>(buffer.bytes()));
  return buffer;
}

// Each mask of a step is a stream of its own; the two top bits keep them apart from those of the
// blocks' dropout, of data and of initialisation.
template <class Real>
std::uint64_t dropout_stream(const Gpt<Real>& m, std::size_t part) {
  const auto parts = static_cast<std::uint64_t>(m.adapter->layout.parts.size());
  return (std::uint64_t{3} << 62) + m.dropout_step * parts + part;
}

template <class Real>
LinearAdapter<Real> linear_adapter(const Gpt<Real>& m, std::size_t index) {
  const Adapter<Real>& adapter = *m.adapter;
  const AdapterPart& part = adapter.layout.parts[index];
  const bool trained = m.purpose == Purpose::adapting;
  LinearAdapter<Real> l;
  l.out = part.out;
  l.rank = adapter.layout.rank;
  l.scale = adapter.layout.scale;
  l.a = adapter.params() + part.a;
  l.b = adapter.params() + part.b;
  const std::int64_t each = trained ? aligned(std::int64_t{adapter.rows} * l.rank) : 0;
  l.ax = static_cast<float*>(adapter.saved.data()) + static_cast<std::int64_t>(index) * each;
  l.scratch = static_cast<float*>(adapter.scratch.data());
  if (trained) {
    l.da = adapter.grads() + part.a;
    l.db = adapter.grads() + part.b;
  }
  if (!m.training || adapter.layout.dropout == 0) return l;
  l.dropout = adapter.layout.dropout;
  l.seed = m.dropout_seed;
  l.stream = dropout_stream(m, index);
  l.dropped = static_cast<Real*>(adapter.dropped.data());
  l.ddropped = l.dropped + adapter.dropped.bytes() / std::int64_t{sizeof(Real)} / 2;
  l.memory = &m.memory;
  return l;
}

template <class Real>
void add_to_weights(Gpt<Real>& model, const Adapter<Real>& adapter, float scale) {
  for (const AdapterPart& p : adapter.layout.parts) {
    model.ops.lora_merge(model.params() + p.weight, adapter.params() + p.a, adapter.params() + p.b,
                         p.in, p.out, adapter.layout.rank, scale);
  }
}

}  // namespace

std::int64_t AdapterLayout::parameters() const {
  std::int64_t count = 0;
  for (const AdapterPart& p : parts) count += std::int64_t{rank} * (p.in + p.out);
  return count;
}

std::vector<AdapterPart> adaptable_modules(const GptConfig& config) {
  const ParameterLayout layout = make_layout(config);
  std::vector<AdapterPart> modules;
  for (const FileTensor& t : file_tensors(layout, config)) {
    constexpr std::string_view kWeight = ".weight";
    const bool in_block =
        t.name.starts_with("transformer.h.") || t.name.starts_with("model.layers");
    if (!in_block || t.shape.size() != 2) continue;
    modules.push_back({t.name.substr(0, t.name.size() - kWeight.size()), t.offset, t.cols, t.rows});
  }
  return modules;
}

AdapterLayout make_adapter_layout(std::vector<AdapterPart> parts, int rank, float scale,
                                  float dropout) {
  check(rank >= 1 && rank <= kMaxRank, [&] {
    return fmt::format("adapter: the rank is {}; it must be from 1 to {}", rank, kMaxRank);
  });
  check(std::isfinite(scale), [&] { return fmt::format("adapter: alpha / rank is {}", scale); });
  check(dropout >= 0 && dropout < 1, [&] {
    return fmt::format("adapter: dropout is {}; it must be at least 0 and below 1", dropout);
  });
  check(!parts.empty(), "adapter: it adapts no module at all");
  AdapterLayout layout;
  layout.rank = rank;
  layout.scale = scale;
  layout.dropout = dropout;
  layout.parts = std::move(parts);
  std::sort(layout.parts.begin(), layout.parts.end(),
            [](const AdapterPart& x, const AdapterPart& y) { return x.weight < y.weight; });
  for (AdapterPart& p : layout.parts) {
    p.a = add(layout.total, std::int64_t{rank} * p.in);
    p.b = add(layout.total, std::int64_t{p.out} * rank);
  }
  return layout;
}

template <class Real>
Adapter<Real> make_adapter(const AdapterLayout& layout, const Gpt<Real>& model, int rows) {
  const Ops<Real>& ops = model.ops;
  check(ops.lora_forward != nullptr && ops.lora_backward != nullptr && ops.lora_merge != nullptr &&
            ops.lora_scratch_size != nullptr,
        "this adapter needs the operators of group 'lora', which the chosen kernels do not have: "
        "mix them with others, as in --kernels cpu,lora=...");
  check(model.purpose != Purpose::training,
        "adapter: a model that is trained itself has none: it is made with Purpose::adapting");
  const bool trained = model.purpose == Purpose::adapting;
  const Sizes sizes = sizes_of(layout, model.config, ops, trained, rows);
  Adapter<Real> adapter;
  adapter.layout = layout;
  adapter.memory = model.memory;
  adapter.rows = rows;
  adapter.parameters = zeroed<Real>(model.memory, layout.total);
  if (trained) adapter.gradients = zeroed<float>(model.memory, layout.total);
  adapter.saved = zeroed<float>(model.memory, sizes.saved);
  adapter.dropped = zeroed<Real>(model.memory, sizes.dropped);
  adapter.scratch = zeroed<float>(model.memory, sizes.scratch);
  adapter.discarded = zeroed<float>(model.memory, sizes.discarded);
  return adapter;
}

template <class Real>
void merge_adapter(Gpt<Real>& model) {
  check(model.adapter != nullptr,
        "merge: no adapter is in use: either there never was one, or it is in the weights already");
  add_to_weights(model, *model.adapter, model.adapter->layout.scale);
  model.adapter = nullptr;
}

template <class Real>
void unmerge_adapter(Gpt<Real>& model, Adapter<Real>& adapter) {
  check(model.adapter == nullptr, "unmerge: an adapter is in use, and so it is not in the weights");
  add_to_weights(model, adapter, -adapter.layout.scale);
  model.adapter = &adapter;
}

template <class Real>
void attach_adapter(Linear<Real>& layer, const Gpt<Real>& model, std::int64_t weight) {
  if (model.adapter == nullptr) return;
  const std::vector<AdapterPart>& parts = model.adapter->layout.parts;
  const std::int64_t end = weight + std::int64_t{layer.in} * layer.out;
  const auto first = std::lower_bound(
      parts.begin(), parts.end(), weight,
      [](const AdapterPart& part, std::int64_t offset) { return part.weight < offset; });
  for (auto part = first; part != parts.end() && part->weight < end; ++part) {
    const auto index = static_cast<std::size_t>(part - parts.begin());
    LinearAdapter<Real> l = linear_adapter(model, index);
    l.first = static_cast<int>((part->weight - weight) / layer.in);
    layer.adapters[static_cast<std::size_t>(layer.adapter_count++)] = l;
  }
}

template <class Real>
Trained<Real> trained_part(const Gpt<Real>& model) {
  if (model.purpose != Purpose::adapting) {
    return {model.params(), model.grads(), model.layout.total};
  }
  check(model.adapter != nullptr, "training: the model is frozen, and no adapter is in use");
  return {model.adapter->params(), model.adapter->grads(), model.adapter->layout.total};
}

AdapterLedger adapter_ledger(const AdapterLayout& layout, const GptConfig& config,
                             const Ops<float>& ops, Purpose purpose, int rows) {
  constexpr std::int64_t kFloat = sizeof(float);
  const bool trained = purpose == Purpose::adapting;
  const Sizes s = sizes_of(layout, config, ops, trained, rows);
  AdapterLedger ledger;
  ledger.parameters = layout.total * kFloat;
  if (trained) {
    ledger.gradients = layout.total * kFloat;
    ledger.optimizer = 2 * layout.total * kFloat;
  }
  ledger.activations = (s.saved + s.dropped + s.scratch + s.discarded) * kFloat;
  ledger.total = ledger.parameters + ledger.gradients + ledger.optimizer + ledger.activations;
  return ledger;
}

template Adapter<float> make_adapter(const AdapterLayout&, const Gpt<float>&, int);
template void merge_adapter(Gpt<float>&);
template void unmerge_adapter(Gpt<float>&, Adapter<float>&);
template void attach_adapter(Linear<float>&, const Gpt<float>&, std::int64_t);
template Trained<float> trained_part(const Gpt<float>&);

template Adapter<Bfloat16> make_adapter(const AdapterLayout&, const Gpt<Bfloat16>&, int);
template void merge_adapter(Gpt<Bfloat16>&);
template void unmerge_adapter(Gpt<Bfloat16>&, Adapter<Bfloat16>&);
template void attach_adapter(Linear<Bfloat16>&, const Gpt<Bfloat16>&, std::int64_t);
template Trained<Bfloat16> trained_part(const Gpt<Bfloat16>&);

}  // namespace tinygpt
