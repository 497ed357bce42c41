#include <algorithm>
#include <cmath>

#include "lessons/05-backprop/mlp.h"
#include "solutions/02-embedding/embedding.h"
#include "solutions/03-matmul/matmul.h"
#include "solutions/04-bigram/softmax.h"
#include "solutions/05-backprop/backprop.h"
#include "solutions/05-backprop/descent.h"

namespace tinygpt::lessons {

namespace {
constexpr int kInput = kPlaces * kWidth;
}

Mlp::Mlp(int V, std::uint64_t seed) : V_(V), random_{seed} {
  const std::int64_t sizes[] = {std::int64_t{V} * kWidth, std::int64_t{kHidden} * kInput, kHidden,
                                std::int64_t{V} * kHidden, V};
  begin_.push_back(0);
  for (const std::int64_t size : sizes) begin_.push_back(begin_.back() + size);
  params_.assign(static_cast<std::size_t>(begin_.back()), 0.0f);
  grads_ = params_;
  const auto fill = [&](int which, double deviation) {
    for (std::int64_t i = begin_[which]; i < begin_[which + 1]; ++i) {
      params_[static_cast<std::size_t>(i)] = static_cast<float>(deviation * random_.normal());
    }
  };
  fill(0, 1.0), fill(1, 1 / std::sqrt(kInput)), fill(3, 1 / std::sqrt(kHidden));
}

Mlp::Places Mlp::places(const std::vector<int>& text, const std::vector<std::int64_t>& at) const {
  Places p;
  p.N = static_cast<int>(at.size());
  for (const std::int64_t i : at) {
    for (int k = 0; k < kPlaces; ++k) p.tokens.push_back(text[static_cast<std::size_t>(i + k)]);
    p.targets.push_back(text[static_cast<std::size_t>(i + kPlaces)]);
  }
  return p;
}

// snippet: forward
double Mlp::forward(const Places& p) {
  const int N = p.N;
  const auto room = [&](std::vector<float>& v, int n) {
    v.resize(static_cast<std::size_t>(N) * static_cast<std::size_t>(n));
  };
  room(embedded_, kInput), room(hidden_, kHidden), room(bent_, kHidden), room(logits_, V_);
  room(losses_, 1), room(lse_, 1);
  ref::embedding_forward(embedded_.data(), p.tokens.data(), part(params_, 0), N * kPlaces, kWidth,
                         V_);
  ref::linear_forward(hidden_.data(), embedded_.data(), part(params_, 1), part(params_, 2), nullptr,
                      N, kInput, kHidden);
  ref::gelu_forward(bent_.data(), hidden_.data(), std::int64_t{N} * kHidden);
  ref::linear_forward(logits_.data(), bent_.data(), part(params_, 3), part(params_, 4), nullptr, N,
                      kHidden, V_);
  ref::cross_entropy_forward(losses_.data(), lse_.data(), logits_.data(), p.targets.data(), N, V_);
  double sum = 0;
  for (const float loss : losses_) sum += loss;
  return sum / N;
}
// end of snippet

// snippet: backward
void Mlp::backward(const Places& p) {
  const int N = p.N;
  std::ranges::fill(grads_, 0.0f);
  std::vector<float> dlogits(logits_.size()), dbent(bent_.size()), dhidden(hidden_.size()),
      dembedded(embedded_.size());
  ref::softmax_cross_entropy_backward(dlogits.data(), logits_.data(), lse_.data(), p.targets.data(),
                                      N, V_, 1.0f / static_cast<float>(N));
  ref::linear_backward(dbent.data(), part(grads_, 3), part(grads_, 4), dlogits.data(), bent_.data(),
                       part(params_, 3), nullptr, N, kHidden, V_);
  ref::gelu_backward(dhidden.data(), dbent.data(), hidden_.data(), std::int64_t{N} * kHidden);
  ref::linear_backward(dembedded.data(), part(grads_, 1), part(grads_, 2), dhidden.data(),
                       embedded_.data(), part(params_, 1), nullptr, N, kInput, kHidden);
  ref::embedding_backward(part(grads_, 0), dembedded.data(), p.tokens.data(), N * kPlaces, kWidth,
                          V_);
}
// end of snippet

void Mlp::train_step(const std::vector<int>& text, float learning_rate) {
  std::vector<std::int64_t> at(kBatch);
  const auto room = static_cast<std::uint64_t>(text.size()) - kPlaces;
  for (std::int64_t& i : at) i = static_cast<std::int64_t>(random_.below(room));
  const Places p = places(text, at);
  forward(p);
  backward(p);
  ref::sgd_step(params_.data(), grads_.data(), learning_rate, parameters());
}

double Mlp::loss(const std::vector<int>& text) {
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i + kPlaces < static_cast<std::int64_t>(text.size()); ++i)
    at.push_back(i);
  return forward(places(text, at));
}

double Mlp::gradient_error(const std::vector<int>& text) {
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i + kPlaces < static_cast<std::int64_t>(text.size()); ++i)
    at.push_back(i);
  const Places p = places(text, at);
  forward(p);
  backward(p);
  // Float losses are good for seven digits: a slope needs steps that are not too small, and
  // gradients that are, are compared as if they were a hundredth.
  const std::vector<float> gradient = grads_;
  double worst = 0;
  for (std::size_t i = 0; i < params_.size(); ++i) {
    const float kept = params_[i], step = 1e-2f;
    params_[i] = kept + step;
    const double above = forward(p);
    params_[i] = kept - step;
    const double below = forward(p);
    params_[i] = kept;
    const double numeric = (above - below) / (2.0 * step);
    const double size = std::max({std::abs(numeric), std::abs(double{gradient[i]}), 1e-2});
    worst = std::max(worst, std::abs(numeric - gradient[i]) / size);
  }
  return worst;
}

}  // namespace tinygpt::lessons
