#include <algorithm>
#include <cmath>

#include "lessons/10-block/tower.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::lessons {

namespace {

constexpr int C = kStream, H = kHidden, kInput = kPlaces * kWidth;
constexpr float kEps = 1e-5f;

std::vector<float> zeros(std::int64_t n) {
  return std::vector<float>(static_cast<std::size_t>(n), 0.0f);
}

}  // namespace

Tower::Tower(Design design, int V, std::uint64_t seed)
    : design_(std::move(design)), ops_(cpu::ops()), V_(V), random_{seed} {
  std::vector<std::int64_t> sizes = {
      std::int64_t{V} * kWidth, std::int64_t{C} * kInput, C, std::int64_t{V} * C, V, C, C};
  for (int l = 0; l < design_.layers; ++l) {
    sizes.insert(sizes.end(), {C, C, std::int64_t{H} * C, H, std::int64_t{C} * H, C});
  }
  begin_.push_back(0);
  for (const std::int64_t size : sizes) begin_.push_back(begin_.back() + size);
  params_ = grads_ = m_ = v_ = zeros(begin_.back());
  // Normal numbers of deviation 1 / sqrt(inputs): a linear layer then keeps the size of its inputs.
  const auto fill = [&](int which, double deviation) {
    const auto begin = static_cast<std::size_t>(begin_[static_cast<std::size_t>(which)]);
    const auto end = static_cast<std::size_t>(begin_[static_cast<std::size_t>(which) + 1]);
    for (std::size_t i = begin; i < end; ++i) {
      params_[i] = static_cast<float>(deviation * random_.normal());
    }
  };
  const auto ones = [&](int which) { std::fill_n(part(params_, which), C, 1.0f); };
  fill(table, 1.0), fill(into, 1 / std::sqrt(kInput)), fill(out, 1 / std::sqrt(C));
  ones(last_scale);
  for (int l = 0; l < design_.layers; ++l) {
    ones(of(l, scale));
    fill(of(l, up), 1 / std::sqrt(C)), fill(of(l, down), 1 / std::sqrt(H));
  }
}

void Tower::make_room(int N) {
  const int L = design_.layers;
  N_ = N;
  const std::int64_t rows = std::int64_t{N} * (L + 1);
  for (auto* v : {&stream_, &dstream_, &normed_, &branch_}) *v = zeros(rows * C);
  for (auto* v : {&hidden_, &bent_}) *v = zeros(rows * H);
  for (auto* v : {&mean_, &rstd_}) *v = zeros(rows);
  embedded_ = zeros(std::int64_t{N} * kInput), logits_ = zeros(std::int64_t{N} * V_);
  losses_ = lse_ = zeros(N);
  std::int64_t most = ops_.layernorm_scratch_size(N, C);
  for (const auto& [in, outputs] : {std::pair{kInput, C}, {C, H}, {H, C}, {C, V_}}) {
    most = std::max(most, ops_.linear_scratch_size(N, in, outputs));
  }
  scratch_ = zeros(most);
}

// snippet: block_forward
void Tower::block_forward(int l) {
  const std::int64_t n = std::int64_t{N_} * C;
  const float* x = row(stream_, l, C);
  float *next = row(stream_, l + 1, C), *branch = row(branch_, l, C), *normed = row(normed_, l, C);
  float *hidden = row(hidden_, l, H), *bent = row(bent_, l, H);
  const auto norm = [&](float* to, const float* from) {
    ops_.layernorm_forward(to, row(mean_, l, 1), row(rstd_, l, 1), from,
                           part(params_, of(l, scale)), part(params_, of(l, shift)), N_, C, kEps);
  };
  if (design_.norm == Norm::before) norm(normed, x);
  ops_.linear_forward(hidden, design_.norm == Norm::before ? normed : x, part(params_, of(l, up)),
                      part(params_, of(l, up_bias)), scratch_.data(), N_, C, H);
  ops_.gelu_forward(bent, hidden, std::int64_t{N_} * H);
  ops_.linear_forward(branch, bent, part(params_, of(l, down)), part(params_, of(l, down_bias)),
                      scratch_.data(), N_, H, C);
  if (training_ && design_.dropout > 0) {
    ops_.dropout_forward(branch, branch, n, design_.dropout, random_.seed, mask(l));
  }
  float* sum = design_.norm == Norm::after ? normed : next;
  if (design_.residual) ops_.residual_forward(sum, x, branch, n);
  else std::copy_n(branch, n, sum);
  if (design_.norm == Norm::after) norm(next, sum);
}
// end of snippet

void Tower::block_backward(int l) {
  const std::int64_t n = std::int64_t{N_} * C;
  const float *x = row(stream_, l, C), *normed = row(normed_, l, C);
  float *dx = row(dstream_, l, C), *dnext = row(dstream_, l + 1, C);
  std::vector<float> dsum = zeros(n), dbranch = zeros(n), dnormed = zeros(n);
  std::vector<float> dbent = zeros(std::int64_t{N_} * H), dhidden = dbent;
  const auto norm_backward = [&](float* to, const float* from, const float* input) {
    ops_.layernorm_backward(to, part(grads_, of(l, scale)), part(grads_, of(l, shift)), from, input,
                            part(params_, of(l, scale)), row(mean_, l, 1), row(rstd_, l, 1),
                            scratch_.data(), N_, C);
  };
  if (design_.norm == Norm::after) norm_backward(dsum.data(), dnext, normed);
  else std::copy_n(dnext, n, dsum.data());
  if (design_.residual) ops_.residual_backward(dx, dbranch.data(), dsum.data(), n);
  else dbranch = dsum;
  if (training_ && design_.dropout > 0) {
    ops_.dropout_backward(dbranch.data(), dbranch.data(), n, design_.dropout, random_.seed,
                          mask(l));
  }
  ops_.linear_backward(dbent.data(), part(grads_, of(l, down)), part(grads_, of(l, down_bias)),
                       dbranch.data(), row(bent_, l, H), part(params_, of(l, down)),
                       scratch_.data(), N_, H, C);
  ops_.gelu_backward(dhidden.data(), dbent.data(), row(hidden_, l, H), std::int64_t{N_} * H);
  const bool before = design_.norm == Norm::before;
  ops_.linear_backward(before ? dnormed.data() : dx, part(grads_, of(l, up)),
                       part(grads_, of(l, up_bias)), dhidden.data(), before ? normed : x,
                       part(params_, of(l, up)), scratch_.data(), N_, C, H);
  if (before) norm_backward(dx, dnormed.data(), x);
}

double Tower::forward(const Places& p, bool training) {
  const int L = design_.layers;
  if (p.N != N_) make_room(p.N);
  training_ = training;
  ops_.embedding_forward(embedded_.data(), p.tokens.data(), part(params_, table), N_ * kPlaces,
                         kWidth, V_);
  ops_.linear_forward(row(stream_, 0, C), embedded_.data(), part(params_, into),
                      part(params_, into_bias), scratch_.data(), N_, kInput, C);
  for (int l = 0; l < L; ++l) block_forward(l);
  const float* last = row(stream_, L, C);
  if (design_.norm == Norm::before) {  // the stream itself has never been normalised
    ops_.layernorm_forward(row(normed_, L, C), row(mean_, L, 1), row(rstd_, L, 1), last,
                           part(params_, last_scale), part(params_, last_shift), N_, C, kEps);
    last = row(normed_, L, C);
  }
  ops_.linear_forward(logits_.data(), last, part(params_, out), part(params_, out_bias),
                      scratch_.data(), N_, C, V_);
  ops_.cross_entropy_forward(losses_.data(), lse_.data(), logits_.data(), p.targets.data(), N_, V_);
  double sum = 0;
  for (const float loss : losses_) sum += loss;
  return sum / N_;
}

void Tower::backward(const Places& p) {
  const int L = design_.layers;
  std::ranges::fill(grads_, 0.0f), std::ranges::fill(dstream_, 0.0f);
  std::vector<float> dlogits(logits_.size()), dembedded(embedded_.size());
  std::vector<float> dnormed = zeros(std::int64_t{N_} * C);
  ops_.softmax_cross_entropy_backward(dlogits.data(), logits_.data(), lse_.data(), p.targets.data(),
                                      N_, V_, 1.0f / static_cast<float>(N_));
  const bool before = design_.norm == Norm::before;
  float* dlast = row(dstream_, L, C);
  ops_.linear_backward(before ? dnormed.data() : dlast, part(grads_, out), part(grads_, out_bias),
                       dlogits.data(), before ? row(normed_, L, C) : row(stream_, L, C),
                       part(params_, out), scratch_.data(), N_, C, V_);
  if (before) {
    ops_.layernorm_backward(dlast, part(grads_, last_scale), part(grads_, last_shift),
                            dnormed.data(), row(stream_, L, C), part(params_, last_scale),
                            row(mean_, L, 1), row(rstd_, L, 1), scratch_.data(), N_, C);
  }
  for (int l = L - 1; l >= 0; --l) block_backward(l);
  ops_.linear_backward(dembedded.data(), part(grads_, into), part(grads_, into_bias),
                       row(dstream_, 0, C), embedded_.data(), part(params_, into), scratch_.data(),
                       N_, kInput, C);
  ops_.embedding_backward(part(grads_, table), dembedded.data(), p.tokens.data(), N_ * kPlaces,
                          kWidth, V_);
}

Tower::Places Tower::places(const std::vector<int>& text,
                            const std::vector<std::int64_t>& at) const {
  Places p;
  p.N = static_cast<int>(at.size());
  for (const std::int64_t i : at) {
    for (int k = 0; k < kPlaces; ++k) p.tokens.push_back(text[static_cast<std::size_t>(i + k)]);
    p.targets.push_back(text[static_cast<std::size_t>(i + kPlaces)]);
  }
  return p;
}

// Places at equal distances.
Tower::Places Tower::spread(const std::vector<int>& text, int count) const {
  const auto room = static_cast<std::int64_t>(text.size()) - kPlaces;
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i < count; ++i) at.push_back(i * room / count);
  return places(text, at);
}

double Tower::train_step(const std::vector<int>& text, float learning_rate) {
  std::vector<std::int64_t> at(kBatch);
  const auto room = static_cast<std::uint64_t>(text.size()) - kPlaces;
  for (std::int64_t& i : at) i = static_cast<std::int64_t>(random_.below(room));
  const Places p = places(text, at);
  ++step_;
  const double before = forward(p, true);
  backward(p);
  ops_.adamw_step(params_.data(), nullptr, m_.data(), v_.data(), grads_.data(), parameters(),
                  {.lr = learning_rate, .weight_decay = 0, .step = step_});
  return before;
}

double Tower::loss(const std::vector<int>& text) {
  return forward(spread(text, kBatch * 16), false);
}

std::vector<double> Tower::gradient_norms(const std::vector<int>& text) {
  const Places p = spread(text, kBatch);
  forward(p, false);
  backward(p);
  std::vector<double> norms;
  for (int l = 0; l <= design_.layers; ++l) {
    double squares = 0;
    for (std::int64_t i = 0; i < std::int64_t{N_} * C; ++i) {
      squares += std::pow(double{row(dstream_, l, C)[i]}, 2);
    }
    norms.push_back(std::sqrt(squares));
  }
  return norms;
}

double Tower::gradient_error(const std::vector<int>& text) {
  const Places p = spread(text, 16);
  forward(p, true);
  backward(p);
  // Float losses are good for seven digits: a slope needs steps that are not too small, and
  // gradients that are, are compared as if they were a hundredth.
  const std::vector<float> gradient = grads_;
  double worst = 0;
  for (std::size_t i = 0; i < params_.size(); ++i) {
    const float kept = params_[i], step = 1e-2f;
    params_[i] = kept + step;
    const double above = forward(p, true);
    params_[i] = kept - step;
    const double below = forward(p, true);
    params_[i] = kept;
    const double numeric = (above - below) / (2.0 * step);
    const double size = std::max({std::abs(numeric), std::abs(double{gradient[i]}), 1e-2});
    worst = std::max(worst, std::abs(numeric - gradient[i]) / size);
  }
  return worst;
}

}  // namespace tinygpt::lessons
