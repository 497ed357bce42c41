#include "tinygpt/model/gpt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/activations.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/model/blocks.h"

namespace tinygpt {

DeviceBuffer::DeviceBuffer(const Memory& memory, std::int64_t bytes)
    : memory_(memory), bytes_(bytes) {
  if (bytes > 0) data_ = memory.allocate(static_cast<std::size_t>(bytes));
}

DeviceBuffer::~DeviceBuffer() {
  if (data_ != nullptr) memory_.release(data_);
}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : memory_(other.memory_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

namespace {

void zero(const Memory& memory, const DeviceBuffer& buffer) {
  if (buffer.bytes() > 0) memory.zero(buffer.data(), static_cast<std::size_t>(buffer.bytes()));
}

// A table may hold only some operators (a learner's, for one): the model names what it misses
// before it starts, and never calls a null pointer.
template <class Real>
void check_ops(const GptConfig& c, const Ops<Real>& ops) {
  const bool gpt2 = c.family == Family::gpt2;
  for_each_entry<Real>([&](std::string_view group, auto entry) {
    const bool only_gpt2 = group == "layernorm" || group == "gelu" || group == "positions";
    const bool only_llama = group == "rmsnorm" || group == "swiglu" || group == "rope";
    const bool never = group == "fused" || group == "softmax" || group == "adamw" ||
                       group == "gradient_norm" || group == "lora" || group == "kv_cache" ||
                       (group == "dropout" && c.dropout == 0);
    if (never || (only_gpt2 && !gpt2) || (only_llama && gpt2)) return;
    check(ops.*entry != nullptr, [&] {
      return fmt::format(
          "this model needs the operators of group '{}', which the chosen kernels "
          "do not have: mix them with others, as in --kernels cpu,{}=...",
          group, group);
    });
  });
}

template <class Real>
Activations<Real> activations_of(const Gpt<Real>& m) {
  return plan_activations<Real>(m.config, m.purpose, m.max_batch, m.max_time, m.arena.data());
}

template <class Real>
void ensure_scratch(Gpt<Real>& m, int B, int T, int logit_rows) {
  const std::int64_t bytes =
      scratch_floats(m.config, m.ops, m.purpose, B, T, logit_rows) * std::int64_t{sizeof(float)};
  if (bytes > m.scratch.bytes()) m.scratch = DeviceBuffer(m.memory, bytes);
}

template <class Real>
Pass<Real> make_pass(const Gpt<Real>& m, const Activations<Real>& acts) {
  Pass<Real> pass{m, acts, static_cast<float*>(m.scratch.data()), m.batch, m.time};
  pass.N = m.batch * m.time;
  pass.dropout = m.training ? m.config.dropout : 0.0f;
  return pass;
}

}  // namespace

template <class Real>
Gpt<Real> make_gpt(const GptConfig& config, const Ops<Real>& ops, const Memory& memory,
                   Purpose purpose, int max_batch, int max_time) {
  Gpt<Real> m;
  m.layout = make_layout(config);
  token_count(max_batch, max_time);
  check(max_time <= config.context_length, [&] {
    return fmt::format("sequences of {} tokens do not fit the model's context_length of {}",
                       max_time, config.context_length);
  });
  check_ops(config, ops);
  m.config = config;
  m.ops = ops;
  m.memory = memory;
  m.purpose = purpose;
  m.max_batch = max_batch;
  m.max_time = max_time;
  const Activations<Real> plan =
      plan_activations<Real>(config, purpose, max_batch, max_time, nullptr);
  m.parameters = DeviceBuffer(memory, m.layout.total * std::int64_t{sizeof(Real)});
  zero(memory, m.parameters);
  if (purpose == Purpose::training) {
    m.gradients = DeviceBuffer(memory, m.layout.total * std::int64_t{sizeof(float)});
    zero(memory, m.gradients);
  }
  m.arena = DeviceBuffer(memory, plan.bytes);
  ensure_scratch(m, max_batch, max_time, plan.logit_rows);
  if (config.family == Family::llama) {
    const Activations<Real> acts = activations_of(m);
    ops.rope_table(acts.cosine, acts.sine, max_time, config.head_size(), config.rope_base);
  }
  return m;
}

template <class Real>
void init_parameters(Gpt<Real>& m, std::uint64_t seed) {
  const double residual = 1 / std::sqrt(2.0 * m.config.layers);
  std::vector<Real> values;
  std::uint64_t stream = 0x696E6974;  // "init"; one stream for each tensor
  for (const Parameter& p : m.layout.parameters) {
    Random random{seed, 0, ++stream};
    const bool writes_to_stream =
        p.name.ends_with("attn.proj.weight") || p.name.ends_with("mlp.down.weight");
    const double deviation = m.config.init_std * (writes_to_stream ? residual : 1.0);
    values.assign(static_cast<std::size_t>(p.size()), static_cast<Real>(0.0f));
    if (p.decay) {
      for (Real& value : values) value = static_cast<Real>(deviation * random.normal());
    } else if (p.name.ends_with(".weight")) {
      std::fill(values.begin(), values.end(), static_cast<Real>(1.0f));
    }
    m.memory.copy_in(m.params() + p.offset, values.data(), values.size() * sizeof(Real));
  }
}

namespace {

void check_batch(std::span<const int> tokens, std::span<const int> targets, int B, int T,
                 int max_batch, int max_time) {
  check(B >= 1 && B <= max_batch && T >= 1 && T <= max_time, [&] {
    return fmt::format(
        "forward: a batch of {} x {} tokens does not fit a model made for up to {} x {}", B, T,
        max_batch, max_time);
  });
  const auto count = static_cast<std::size_t>(B * T);
  check(tokens.size() == count && (targets.empty() || targets.size() == count), [&] {
    return fmt::format("forward: {} tokens and {} targets where B x T is {} x {}", tokens.size(),
                       targets.size(), B, T);
  });
}

// Throws on the first value outside 0 .. V-1 (targets also allow kIgnoreTarget); gives how many
// count.
int check_values(const char* what, std::span<const int> values, int T, int V, bool may_ignore) {
  int counted = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int value = values[i];
    if (may_ignore && value == kIgnoreTarget) continue;
    check(value >= 0 && value < V, [&] {
      const int at = static_cast<int>(i);
      return fmt::format("forward: {} {} at sequence {}, position {} is not in 0 .. {}", what,
                         value, at / T, at % T, V - 1);
    });
    ++counted;
  }
  return counted;
}

template <class Real>
void forward_blocks(const Pass<Real>& p) {
  const ParameterLayout& layout = p.model.layout;
  embed_forward(p);
  const auto& blocks = p.acts.blocks;
  norm_forward(p, blocks[0].norm1, {layout.blocks[0].norm1_weight, layout.blocks[0].norm1_bias});
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    const BlockOffsets& b = layout.blocks[l];
    attention_branch_forward(p, static_cast<int>(l));
    residual_norm_forward(p, blocks[l].norm2, blocks[l].norm1, {b.norm2_weight, b.norm2_bias});
    mlp_branch_forward(p, static_cast<int>(l));
    if (l + 1 < blocks.size()) {
      const BlockOffsets& next = layout.blocks[l + 1];
      residual_norm_forward(p, blocks[l + 1].norm1, blocks[l].norm2,
                            {next.norm1_weight, next.norm1_bias});
    }
  }
  residual_norm_forward(p, p.acts.norm_f, blocks.back().norm2,
                        {layout.norm_f_weight, layout.norm_f_bias});
}

// Runs the head over rows first .. first + count - 1, at most acts.logit_rows at once, and calls
// use(first row, rows) while their logits are there. All turns are of one size: the last one starts
// earlier where the rows do not divide.
template <class Real, class Use>
void for_logits(const Pass<Real>& p, int first, int count, Use&& use) {
  const int rows = std::min(count, p.acts.logit_rows);
  for (int done = 0; done < count; done += rows) {
    const int row = first + std::min(done, count - rows);
    head_forward(p, row, rows);
    use(row, rows);
  }
}

template <class Real>
void losses_forward(const Pass<Real>& p, float* losses) {
  const Gpt<Real>& m = p.model;
  for_logits(p, 0, p.N, [&](int row, int rows) {
    m.ops.cross_entropy_forward(losses + row, p.acts.lse + row, p.acts.logits, p.acts.targets + row,
                                rows, m.config.vocab_size);
  });
}

template <class Real>
float copied_mean_loss(const Pass<Real>& p, int targets) {
  std::vector<float> losses(static_cast<std::size_t>(p.N));
  p.model.memory.copy_out(losses.data(), p.acts.losses, losses.size() * sizeof(float));
  return mean_loss(losses, targets);
}

template <class Real>
void check_adapter(const Gpt<Real>& m, int B, int T) {
  check(m.purpose != Purpose::adapting || m.adapter != nullptr,
        "forward: this model was made to train an adapter, and none is in use");
  if (m.adapter == nullptr) return;
  check(m.purpose != Purpose::training, "forward: a model that is trained itself has no adapter");
  check(B * T <= m.adapter->rows, [&] {
    return fmt::format("forward: {} x {} tokens do not fit an adapter made for {}", B, T,
                       m.adapter->rows);
  });
}

}  // namespace

float mean_loss(std::span<const float> losses, int targets) {
  double sum = 0;  // ignored targets have loss 0
  for (const float loss : losses) sum += loss;
  return targets == 0 ? 0.0f : static_cast<float>(sum / targets);
}

template <class Real>
float forward(Gpt<Real>& m, std::span<const int> tokens, std::span<const int> targets, int B, int T,
              const ForwardOptions& options) {
  check_batch(tokens, targets, B, T, m.max_batch, m.max_time);
  check_values("token", tokens, T, m.config.vocab_size, false);
  check_adapter(m, B, T);
  const int counted = check_values("target", targets, T, m.config.vocab_size, true);
  const Activations<Real> acts = activations_of(m);
  ensure_scratch(m, B, T, acts.logit_rows);
  m.batch = B;
  m.time = T;
  m.targets = counted;
  m.training = options.training;
  m.dropout_seed = options.dropout_seed;
  m.dropout_step = options.dropout_step;
  const Pass<Real> pass = make_pass(m, acts);
  m.memory.copy_in(acts.tokens, tokens.data(), tokens.size_bytes());
  forward_blocks(pass);
  if (!targets.empty()) {
    m.memory.copy_in(acts.targets, targets.data(), targets.size_bytes());
    losses_forward(pass, options.losses != nullptr ? options.losses : acts.losses);
    return options.losses != nullptr ? 0.0f : copied_mean_loss(pass, counted);
  }
  if (m.purpose != Purpose::inference) head_forward(pass, 0, pass.N);
  return 0;
}

template <class Real>
void backward(Gpt<Real>& m, float scale) {
  check(m.purpose != Purpose::inference, "backward: this model was made for inference");
  check(m.batch > 0, "backward: there is no forward pass to continue, or it has been continued");
  const Activations<Real> acts = activations_of(m);
  ensure_scratch(m, m.batch, m.time, acts.logit_rows);
  const Pass<Real> pass = make_pass(m, acts);
  m.batch = 0;  // the logits turn into their gradient: this cannot be done twice
  if (m.targets == 0) {
    if (m.fresh_gradients) zero_gradients(m);
    return;
  }
  m.ops.softmax_cross_entropy_backward(acts.logits, acts.logits, acts.lse, acts.targets, pass.N,
                                       m.config.vocab_size, scale / static_cast<float>(m.targets));
  head_backward(pass);
  for (int l = m.config.layers - 1; l >= 0; --l) {
    mlp_branch_backward(pass, l);
    attention_branch_backward(pass, l);
  }
  embed_backward(pass);
  m.fresh_gradients = false;
}

namespace {

// Logits of `rows` positions from row `first` on, as floats on the host.
template <class Real>
void copy_rows(const Gpt<Real>& m, int first, int count, std::span<float> logits) {
  const int V = m.config.vocab_size;
  check(logits.size() == static_cast<std::size_t>(std::int64_t{count} * V), [&] {
    return fmt::format("copy_logits: room for {} values where {} x {} are needed", logits.size(),
                       count, V);
  });
  const Activations<Real> acts = activations_of(m);
  const auto copy = [&](const Real* from, int row, int rows) {
    const std::int64_t n = std::int64_t{rows} * V;
    std::vector<Real> values(static_cast<std::size_t>(n));
    m.memory.copy_out(values.data(), from, values.size() * sizeof(Real));
    std::copy(values.begin(), values.end(), logits.begin() + std::int64_t{row - first} * V);
  };
  if (m.purpose != Purpose::inference) {
    copy(acts.logits + std::int64_t{first} * V, first, count);
  } else {
    const Pass<Real> pass = make_pass(m, acts);
    for_logits(pass, first, count, [&](int row, int rows) { copy(acts.logits, row, rows); });
  }
}

template <class Real>
void check_sequence(const Gpt<Real>& m, int b) {
  check(b >= 0 && b < m.batch, [&] {
    return fmt::format("copy_logits: there is no sequence {}: the last forward pass had {}", b,
                       m.batch);
  });
}

}  // namespace

template <class Real>
void copy_logits(const Gpt<Real>& m, int b, std::span<float> logits) {
  check_sequence(m, b);
  copy_rows(m, b * m.time, m.time, logits);
}

template <class Real>
void copy_last_logits(const Gpt<Real>& m, int b, std::span<float> logits) {
  check_sequence(m, b);
  copy_rows(m, (b + 1) * m.time - 1, 1, logits);
}

template <class Real>
int sample_last_token(const Gpt<Real>& m, int b, float temperature, double u) {
  check_sequence(m, b);
  check(m.ops.sample_token != nullptr, "sample_last_token: the chosen kernels cannot draw a token");
  const Activations<Real> acts = activations_of(m);
  const int row = (b + 1) * m.time - 1, V = m.config.vocab_size;
  const Real* logits = acts.logits;
  if (m.purpose != Purpose::inference) logits += std::int64_t{row} * V;
  else head_forward(make_pass(m, acts), row, 1);
  // The losses are read where they were made, so their place is free.
  int* const drawn = reinterpret_cast<int*>(acts.losses);
  m.ops.sample_token(drawn, logits, V, temperature, u);
  int token = 0;
  m.memory.copy_out(&token, drawn, sizeof(token));
  check(token >= 0,
        "sampling: a logit is NaN, or the largest infinite: the model's weights are broken");
  return token;
}

template Gpt<float> make_gpt(const GptConfig&, const Ops<float>&, const Memory&, Purpose, int, int);
template void init_parameters(Gpt<float>&, std::uint64_t);
template float forward(Gpt<float>&, std::span<const int>, std::span<const int>, int, int,
                       const ForwardOptions&);
template void backward(Gpt<float>&, float);
template void copy_logits(const Gpt<float>&, int, std::span<float>);
template void copy_last_logits(const Gpt<float>&, int, std::span<float>);
template int sample_last_token(const Gpt<float>&, int, float, double);

template Gpt<Bfloat16> make_gpt(const GptConfig&, const Ops<Bfloat16>&, const Memory&, Purpose, int,
                                int);
template void init_parameters(Gpt<Bfloat16>&, std::uint64_t);
template float forward(Gpt<Bfloat16>&, std::span<const int>, std::span<const int>, int, int,
                       const ForwardOptions&);
template void backward(Gpt<Bfloat16>&, float);
template void copy_logits(const Gpt<Bfloat16>&, int, std::span<float>);
template void copy_last_logits(const Gpt<Bfloat16>&, int, std::span<float>);
template int sample_last_token(const Gpt<Bfloat16>&, int, float, double);

}  // namespace tinygpt
