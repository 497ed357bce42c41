#include <algorithm>
#include <cmath>
#include <utility>

#include "lessons/09-position/model.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::lessons {
namespace {

constexpr int kQkv = 3 * kWidth, kHidden = 4 * kWidth;
constexpr float kEps = 1e-5f, kPeak = 4e-3f;
constexpr int kWarmUp = 40;

std::vector<float>& room(std::vector<float>& v, std::int64_t n) {
  v.resize(static_cast<std::size_t>(n));
  return v;
}

// An array of zeros for a gradient to accumulate in.
std::vector<float> zeros(std::int64_t n) {
  return std::vector<float>(static_cast<std::size_t>(n), 0.0f);
}

}  // namespace

std::string name_of(Positions kind) {
  switch (kind) {
    case Positions::none:
      return "none";
    case Positions::sinusoidal:
      return "sinusoidal";
    case Positions::learned:
      return "learned";
    case Positions::rotary:
      return "rotary";
  }
  return "";
}

SmallGpt::SmallGpt(Positions kind, int V, std::uint64_t seed)
    : kind_(kind), V_(V), ops_(cpu::ops()), random_{seed} {
  const auto filled = [&](std::int64_t n, double deviation, float mean = 0.0f) {
    const auto begin = static_cast<std::int64_t>(params_.size());
    for (std::int64_t i = 0; i < n; ++i) {
      params_.push_back(deviation == 0 ? mean : static_cast<float>(deviation * random_.normal()));
    }
    return begin;
  };
  const auto matrix = [&](int out, int in, double factor = 1) {
    return filled(std::int64_t{out} * in, factor / std::sqrt(in));
  };
  const double less = 1 / std::sqrt(2.0 * kLayers);  // for what is added to the stream
  embedding_ = filled(std::int64_t{V} * kWidth, 0.5);
  place_vectors_ = filled(std::int64_t{kLongest} * kWidth, 0.1);
  for (int l = 0; l < kLayers; ++l) {
    Block block;
    block.norm1 = filled(kWidth, 0, 1), block.qkv = matrix(kQkv, kWidth);
    block.proj = matrix(kWidth, kWidth, less), block.norm2 = filled(kWidth, 0, 1);
    block.up = matrix(kHidden, kWidth), block.down = matrix(kWidth, kHidden, less);
    blocks_.push_back(std::move(block));
  }
  last_norm_ = filled(kWidth, 0, 1), head_ = matrix(V, kWidth, 0.5);
  grads_ = m_ = v_ = std::vector<float>(params_.size(), 0.0f);
  ops_.sinusoidal_positions(room(waves_, std::int64_t{kLongest} * kWidth).data(), kLongest, kWidth,
                            kBase);
  constexpr std::int64_t kAngles = std::int64_t{kLongest} * kHeadSize / 2;
  ops_.rope_table(room(cosine_, kAngles).data(), room(sine_, kAngles).data(), kLongest, kHeadSize,
                  kBase);
}

// snippet: add_positions
void SmallGpt::add_positions() {
  const float* table = kind_ == Positions::learned      ? at(params_, place_vectors_)
                       : kind_ == Positions::sinusoidal ? waves_.data()
                                                        : nullptr;
  if (table != nullptr) {
    ops_.learned_positions_forward(stream_.data(), stream_.data(), table, B_, T_, kWidth, start_);
  }
}
// end of snippet

void SmallGpt::block_forward(Block& b) {
  const std::int64_t n = std::int64_t{N_} * kWidth;
  float* scratch = scratch_.data();
  b.in = stream_;
  ops_.rmsnorm_forward(room(b.normed1, n).data(), room(b.rstd1, N_).data(), b.in.data(),
                       at(params_, b.norm1), N_, kWidth, kEps);
  ops_.linear_forward(room(b.rows, std::int64_t{N_} * kQkv).data(), b.normed1.data(),
                      at(params_, b.qkv), nullptr, scratch, N_, kWidth, kQkv);
  if (kind_ == Positions::rotary) {  // queries and keys: two thirds of the heads in a row
    ops_.rope_forward(b.rows.data(), cosine_.data(), sine_.data(), B_, T_, 2 * kHeads, kHeadSize,
                      kQkv, start_);
  }
  ops_.attention_forward(room(b.mixed, n).data(), room(b.lse, std::int64_t{N_} * kHeads).data(),
                         b.rows.data(), scratch, B_, T_, kHeads, kHeads, kHeadSize, true);
  ops_.linear_forward(room(b.mid, n).data(), b.mixed.data(), at(params_, b.proj), nullptr, scratch,
                      N_, kWidth, kWidth);
  ops_.residual_forward(b.mid.data(), b.mid.data(), b.in.data(), n);
  ops_.rmsnorm_forward(room(b.normed2, n).data(), room(b.rstd2, N_).data(), b.mid.data(),
                       at(params_, b.norm2), N_, kWidth, kEps);
  ops_.linear_forward(room(b.hidden, std::int64_t{N_} * kHidden).data(), b.normed2.data(),
                      at(params_, b.up), nullptr, scratch, N_, kWidth, kHidden);
  ops_.gelu_forward(room(b.bent, std::int64_t{N_} * kHidden).data(), b.hidden.data(),
                    std::int64_t{N_} * kHidden);
  ops_.linear_forward(stream_.data(), b.bent.data(), at(params_, b.down), nullptr, scratch, N_,
                      kHidden, kWidth);
  ops_.residual_forward(stream_.data(), stream_.data(), b.mid.data(), n);
}

// dstream_ is the gradient of what the block left in the stream, and then of what came in.
void SmallGpt::block_backward(Block& b) {
  const std::int64_t n = std::int64_t{N_} * kWidth, wide = std::int64_t{N_} * kHidden;
  float *d = dstream_.data(), *scratch = scratch_.data();
  std::vector<float> dbent = zeros(wide), dhidden = zeros(wide), dnormed = zeros(n);
  ops_.linear_backward(dbent.data(), gradient(b.down), nullptr, d, b.bent.data(),
                       at(params_, b.down), scratch, N_, kHidden, kWidth);
  ops_.gelu_backward(dhidden.data(), dbent.data(), b.hidden.data(), wide);
  ops_.linear_backward(dnormed.data(), gradient(b.up), nullptr, dhidden.data(), b.normed2.data(),
                       at(params_, b.up), scratch, N_, kWidth, kHidden);
  ops_.rmsnorm_backward(d, gradient(b.norm2), dnormed.data(), b.mid.data(), at(params_, b.norm2),
                        b.rstd2.data(), scratch, N_, kWidth);
  std::vector<float> dmixed = zeros(n), drows = zeros(std::int64_t{N_} * kQkv);
  ops_.linear_backward(dmixed.data(), gradient(b.proj), nullptr, d, b.mixed.data(),
                       at(params_, b.proj), scratch, N_, kWidth, kWidth);
  ops_.attention_backward(drows.data(), dmixed.data(), b.mixed.data(), b.lse.data(), b.rows.data(),
                          scratch, B_, T_, kHeads, kHeads, kHeadSize, true);
  if (kind_ == Positions::rotary) {
    const auto rope_back = wrongly_ ? ops_.rope_forward : ops_.rope_backward;
    rope_back(drows.data(), cosine_.data(), sine_.data(), B_, T_, 2 * kHeads, kHeadSize, kQkv,
              start_);
  }
  std::ranges::fill(dnormed, 0.0f);
  ops_.linear_backward(dnormed.data(), gradient(b.qkv), nullptr, drows.data(), b.normed1.data(),
                       at(params_, b.qkv), scratch, N_, kWidth, kQkv);
  ops_.rmsnorm_backward(d, gradient(b.norm1), dnormed.data(), b.in.data(), at(params_, b.norm1),
                        b.rstd1.data(), scratch, N_, kWidth);
}

double SmallGpt::forward(std::span<const int> tokens, std::span<const int> targets, int B, int T) {
  B_ = B, T_ = T, N_ = B * T;
  tokens_.assign(tokens.begin(), tokens.end()), targets_.assign(targets.begin(), targets.end());
  const std::int64_t logits = std::int64_t{N_} * V_;
  room(scratch_, std::max({ops_.linear_scratch_size(N_, kWidth, kHidden),
                           ops_.linear_scratch_size(N_, kHidden, kWidth),
                           ops_.linear_scratch_size(N_, kWidth, std::max(V_, kQkv)),
                           ops_.rmsnorm_scratch_size(N_, kWidth),
                           ops_.attention_scratch_size(B, T, kHeads, kHeads, kHeadSize)}));
  room(stream_, std::int64_t{N_} * kWidth), room(losses_, N_), room(lse_, N_);
  ops_.embedding_forward(stream_.data(), tokens_.data(), at(params_, embedding_), N_, kWidth, V_);
  add_positions();
  for (Block& block : blocks_) block_forward(block);
  ops_.rmsnorm_forward(room(last_normed_, std::int64_t{N_} * kWidth).data(),
                       room(last_rstd_, N_).data(), stream_.data(), at(params_, last_norm_), N_,
                       kWidth, kEps);
  ops_.linear_forward(room(logits_, logits).data(), last_normed_.data(), at(params_, head_),
                      nullptr, scratch_.data(), N_, kWidth, V_);
  ops_.cross_entropy_forward(losses_.data(), lse_.data(), logits_.data(), targets_.data(), N_, V_);
  double sum = 0;
  for (const float loss : losses_) sum += loss;
  return sum / N_;
}

void SmallGpt::backward() {
  const std::int64_t n = std::int64_t{N_} * kWidth;
  std::ranges::fill(grads_, 0.0f);
  std::vector<float> dlogits = zeros(std::int64_t{N_} * V_), dnormed = zeros(n);
  ops_.softmax_cross_entropy_backward(dlogits.data(), logits_.data(), lse_.data(), targets_.data(),
                                      N_, V_, 1.0f / static_cast<float>(N_));
  ops_.linear_backward(dnormed.data(), gradient(head_), nullptr, dlogits.data(),
                       last_normed_.data(), at(params_, head_), scratch_.data(), N_, kWidth, V_);
  dstream_ = zeros(n);
  ops_.rmsnorm_backward(dstream_.data(), gradient(last_norm_), dnormed.data(), stream_.data(),
                        at(params_, last_norm_), last_rstd_.data(), scratch_.data(), N_, kWidth);
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) block_backward(*block);
  if (kind_ == Positions::learned) {
    ops_.learned_positions_backward(gradient(place_vectors_), dstream_.data(), B_, T_, kWidth, 0);
  }
  ops_.embedding_backward(gradient(embedding_), dstream_.data(), tokens_.data(), N_, kWidth, V_);
}

void SmallGpt::train_step(std::span<const int> text, int step, int steps) {
  std::vector<int> tokens, targets;
  for (int b = 0; b < kBatch; ++b) {
    const auto from = static_cast<std::ptrdiff_t>(random_.below(text.size() - kTrained));
    tokens.insert(tokens.end(), text.begin() + from, text.begin() + from + kTrained);
    targets.insert(targets.end(), text.begin() + from + 1, text.begin() + from + kTrained + 1);
  }
  forward(tokens, targets, kBatch, kTrained);
  backward();
  const float up = std::min(1.0f, static_cast<float>(step + 1) / kWarmUp);
  const float down = 1.0f - 0.95f * static_cast<float>(step) / static_cast<float>(steps);
  ops_.adamw_step(params_.data(), nullptr, m_.data(), v_.data(), grads_.data(),
                  static_cast<std::int64_t>(params_.size()),
                  {.lr = kPeak * up * down, .weight_decay = 0.0f, .step = step + 1});
}

std::vector<double> SmallGpt::loss_by_place(std::span<const int> text, int T, int start) {
  start_ = start;
  std::vector<double> sum(static_cast<std::size_t>(T), 0.0);
  const auto length = static_cast<std::size_t>(T);
  std::size_t texts = 0;
  for (std::size_t from = 0; from + length < text.size(); from += length, ++texts) {
    forward(text.subspan(from, length), text.subspan(from + 1, length), 1, T);
    for (std::size_t t = 0; t < length; ++t) sum[t] += losses_[t];
  }
  start_ = 0;
  for (double& value : sum) value /= static_cast<double>(texts);
  return sum;
}

double SmallGpt::gradient_error(std::span<const int> text) {
  const auto loss = [&] { return forward(text.first(30), text.subspan(1, 30), 2, 15); };
  loss();
  backward();
  // Float losses are good for seven digits: a slope needs steps that are not too small, and
  // gradients that are, are compared as if they were a hundredth.
  double worst = 0;
  for (std::size_t i = 0; i < params_.size(); i += 97) {
    const float kept = params_[i], step = 1e-2f;
    params_[i] = kept + step;
    const double above = loss();
    params_[i] = kept - step;
    const double numeric = (above - loss()) / (2.0 * step);
    params_[i] = kept;
    const double claimed = grads_[i];
    const double size = std::max({std::abs(numeric), std::abs(claimed), 1e-2});
    worst = std::max(worst, std::abs(numeric - claimed) / size);
  }
  return worst;
}

}  // namespace tinygpt::lessons
