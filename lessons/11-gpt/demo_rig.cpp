#include <algorithm>

#include "lessons/11-gpt/rig.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::lessons {
namespace {

std::vector<float> floats(std::int64_t n) {
  return std::vector<float>(static_cast<std::size_t>(n));
}

}  // namespace

Rig::Rig(const GptShape& shape, const Ops<float>& ops, int batch, int time)
    : s(shape), B(batch), T(time) {
  const std::int64_t n = ref::gpt_parameter_count(s);
  params = floats(n), gradients = floats(n), moments = floats(2 * n);
  std::int64_t size = 0;
  gpt_activations(&size, nullptr, B, T, s);
  room = floats(size), scratch = floats(gpt_scratch_floats(ops, B, T, s));
  a = gpt_activations(&size, room.data(), B, T, s);
  m = {ops, host_memory(), scratch.data()};
}

float Rig::loss(const std::vector<int>& tokens, const std::vector<int>& targets) {
  ref::gpt_forward(a, tokens.data(), targets.data(), fixed(), B, T, s, m);
  return ref::mean_loss(a.losses, targets.data(), B * T);
}

void Rig::backward(const std::vector<int>& tokens, const std::vector<int>& targets) {
  const auto ignored = std::count(targets.begin(), targets.end(), kIgnoreTarget);
  ref::gpt_backward(gpt_parameters(gradients.data(), s), a, tokens.data(), targets.data(),
                    B * T - static_cast<int>(ignored), fixed(), B, T, s, m);
}

void Rig::adamw_step(float learning_rate) {
  AdamwSettings settings;
  settings.lr = learning_rate, settings.weight_decay = 0, settings.step = ++steps;
  const auto n = static_cast<std::int64_t>(params.size());
  m.ops.adamw_step(params.data(), nullptr, moments.data(), moments.data() + n, gradients.data(), n,
                   settings);
  std::ranges::fill(gradients, 0.0f);
}

Ops<float> without_embedding_gradient(Ops<float> ops) {
  ops.embedding_backward = [](float*, const float*, const int*, int, int, int) {};
  return ops;
}

Ops<float> without_head_gradient(Ops<float> ops) {
  // The head is the only layer without a bias.
  ops.linear_backward = [](float* dx, float* dweight, float* dbias, const float* dout,
                           const float* x, const float* weight, float* scratch, int N, int C,
                           int OC) {
    cpu::ops().linear_backward(dx, dbias == nullptr ? nullptr : dweight, dbias, dout, x, weight,
                               scratch, N, C, OC);
  };
  return ops;
}

Ops<float> without_stream_gradient(Ops<float> ops) {
  ops.layernorm_backward = [](float* dx, float* dweight, float* dbias, const float* dout,
                              const float* x, const float* weight, const float* mean,
                              const float* rstd, float* scratch, int N, int C) {
    std::fill_n(dx, std::int64_t{N} * C, 0.0f);
    cpu::ops().layernorm_backward(dx, dweight, dbias, dout, x, weight, mean, rstd, scratch, N, C);
  };
  return ops;
}

}  // namespace tinygpt::lessons
