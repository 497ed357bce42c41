// Why more than one head: a layer of attention is asked two questions at once.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "lessons/08-multi-head/experiments.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"
#include "solutions/02-embedding/embedding.h"
#include "solutions/04-bigram/softmax.h"
#include "solutions/08-multi-head/attention.h"
#include "solutions/13-training-loop/optimizer.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt::lessons {
namespace {

constexpr int kV = 26;  // letters
constexpr int kT = 12, kB = 16, kN = kB * kT;
constexpr int kC = 32;  // width: NH * HS, whatever NH is

// Random letters. At each place: which letter stood one place before? And which one stood first?
struct Batch {
  std::vector<int> letters = std::vector<int>(kN), places = std::vector<int>(kN);
  std::vector<int> answers = std::vector<int>(2 * kN, kIgnoreTarget);
  int asked = 0;
};

Batch draw(Random& random) {
  Batch batch;
  for (int n = 0; n < kN; ++n) {
    const int t = n % kT, first = n - t;
    batch.letters[std::size_t(n)] = static_cast<int>(random.below(kV));
    batch.places[std::size_t(n)] = t;
    if (t < 2) continue;  // there the two answers are the same
    batch.answers[std::size_t(2 * n)] = batch.letters[std::size_t(n - 1)];
    batch.answers[std::size_t(2 * n + 1)] = batch.letters[std::size_t(first)];
    batch.asked += 2;
  }
  return batch;
}

// Letters and places as vectors, added; attention; and from its output two times kV scores.
class Layer {
 public:
  Layer(int NH, int NKV) : NH_(NH), NKV_(NKV), HS_(kC / NH), row_((NH + 2 * NKV) * HS_) {
    Random random{7};
    for (const int size : {kV * kC, kT * kC, row_ * kC, 2 * kV * kC}) {
      begin_.push_back(static_cast<int>(params_.size()));
      const double deviation = begin_.size() <= 2 ? 0.5 : 1 / std::sqrt(kC);
      for (int i = 0; i < size; ++i) {
        params_.push_back(static_cast<float>(deviation * random.normal()));
      }
    }
    grads_.resize(params_.size());
    m_ = v_ = grads_;
    scratch_.resize(1 << 20);
  }

  void forward(const Batch& batch) {
    ref::embedding_forward(x_.data(), batch.letters.data(), at(0), kN, kC, kV);
    ref::embedding_forward(place_.data(), batch.places.data(), at(1), kN, kC, kT);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] += place_[i];
    qkv_.resize(std::size_t(kN * row_));
    lse_.resize(std::size_t(kN * NH_));
    ops_.linear_forward(qkv_.data(), x_.data(), at(2), nullptr, scratch_.data(), kN, kC, row_);
    ref::multihead_attention_forward(att_.data(), lse_.data(), qkv_.data(), scratch_.data(), kB, kT,
                                     NH_, NKV_, HS_, true);
    ops_.linear_forward(logits_.data(), att_.data(), at(3), nullptr, scratch_.data(), kN, kC,
                        2 * kV);
    ref::cross_entropy_forward(losses_.data(), logit_lse_.data(), logits_.data(),
                               batch.answers.data(), 2 * kN, kV);
  }

  void step(const Batch& batch, int number) {
    forward(batch);
    std::vector<float> dlogits(logits_.size()), datt(att_.size()), dqkv(qkv_.size()), dx(x_.size());
    std::fill(grads_.begin(), grads_.end(), 0.0f);
    ref::softmax_cross_entropy_backward(dlogits.data(), logits_.data(), logit_lse_.data(),
                                        batch.answers.data(), 2 * kN, kV,
                                        1.0f / static_cast<float>(batch.asked));
    ops_.linear_backward(datt.data(), grad(3), nullptr, dlogits.data(), att_.data(), at(3),
                         scratch_.data(), kN, kC, 2 * kV);
    ref::multihead_attention_backward(dqkv.data(), datt.data(), att_.data(), lse_.data(),
                                      qkv_.data(), scratch_.data(), kB, kT, NH_, NKV_, HS_, true);
    ops_.linear_backward(dx.data(), grad(2), nullptr, dqkv.data(), x_.data(), at(2),
                         scratch_.data(), kN, kC, row_);
    ref::embedding_backward(grad(0), dx.data(), batch.letters.data(), kN, kC, kV);
    ref::embedding_backward(grad(1), dx.data(), batch.places.data(), kN, kC, kT);
    ref::adamw_step(params_.data(), nullptr, m_.data(), v_.data(), grads_.data(), parameters(),
                    {.lr = 3e-3f, .beta2 = 0.99f, .weight_decay = 0.0f, .step = number});
  }

  // The mean loss of one of the questions, of the last forward pass.
  double loss(const Batch& batch, int question) const {
    double sum = 0;
    for (int n = 0; n < kN; ++n) sum += losses_[std::size_t(2 * n + question)];
    return 2 * sum / batch.asked;
  }

  // The share of right answers to one of them.
  double right(const Batch& batch, int question) const {
    int found = 0;
    for (int n = question; n < 2 * kN; n += 2) {
      const float* scores = logits_.data() + n * kV;
      found += std::max_element(scores, scores + kV) - scores == batch.answers[std::size_t(n)];
    }
    return 2.0 * found / batch.asked;
  }

  // [NH, T, T], the mean over the sequences of the last forward pass.
  std::vector<float> mean_map() const {
    const std::size_t square = std::size_t(NH_ * kT * kT);
    std::vector<float> mean(square), p(square), out(std::size_t(kT * kC));
    for (int b = 0; b < kB; ++b) {
      const auto begin = qkv_.begin() + b * kT * row_;
      naive_heads(out, p, std::vector<float>(begin, begin + kT * row_), kT, NH_, NKV_, HS_);
      for (std::size_t i = 0; i < square; ++i) mean[i] += p[i] / kB;
    }
    return mean;
  }

  std::int64_t parameters() const { return static_cast<std::int64_t>(params_.size()); }

 private:
  float* at(int part) { return params_.data() + begin_[std::size_t(part)]; }
  float* grad(int part) { return grads_.data() + begin_[std::size_t(part)]; }

  int NH_, NKV_, HS_, row_;
  Ops<float> ops_ = cpu::ops();
  std::vector<int> begin_;  // of letters, places, qkv and the answers' weights
  std::vector<float> params_, grads_, m_, v_, scratch_;
  std::vector<float> x_ = std::vector<float>(kN * kC), place_ = x_, att_ = x_, qkv_, lse_;
  std::vector<float> logits_ = std::vector<float>(2 * kN * kV);
  std::vector<float> losses_ = std::vector<float>(2 * kN), logit_lse_ = losses_;
};

void show_maps(const Layer& layer, int heads) {
  std::vector<std::string> places;
  for (int t = 0; t < kT; ++t) places.push_back(std::to_string(t));
  const AttentionMaps maps{1, heads, kT, layer.mean_map()};
  print_maps(places, maps);
  print_habits(places, maps);
  write_maps("lessons-out/08-questions-heads.svg", places, maps);
}

}  // namespace

void two_questions(const std::vector<Option>& options) {
  struct Shape {
    int NH, NKV;
  };
  const int steps = static_cast<int>(as_number(options, "steps"));
  std::vector<Series> lines;
  std::vector<std::vector<std::string>> rows;
  for (const auto& [NH, NKV] : {Shape{1, 1}, Shape{2, 2}, Shape{2, 1}, Shape{4, 4}}) {
    Random random{1};
    Layer layer(NH, NKV);
    const std::string name = fmt::format("{} head{}{}", NH, NH > 1 ? "s" : "",
                                         NKV < NH ? fmt::format(", {} key", NKV) : "");
    lines.push_back({name, {}});
    for (int step = 1; step <= steps; ++step) {
      const Batch batch = draw(random);
      layer.step(batch, step);
      show_progress(name, step, steps);
      if (step % (steps / 20) == 0) {
        const double loss = (layer.loss(batch, 0) + layer.loss(batch, 1)) / 2;
        lines.back().points.emplace_back(step, loss);
      }
    }
    const Batch batch = draw(random);
    layer.forward(batch);
    std::vector<std::string> row = {name, std::to_string(layer.parameters())};
    for (int question = 0; question < 2; ++question) {
      row.push_back(fmt::format("{:.3f}", layer.loss(batch, question)));
      row.push_back(fmt::format("{:.0f}%", 100 * layer.right(batch, question)));
    }
    rows.push_back(row);
    if (NH == 2 && NKV == 2) show_maps(layer, NH);
  }
  const std::string nothing = fmt::format("{:.3f}", std::log(kV));
  const std::string chance = fmt::format("{:.0f}%", 100.0 / kV);
  rows.push_back({"guessing", "-", nothing, chance, nothing, chance});
  fmt::print("\nloss in nats and right answers after {} steps, on new letters\n", steps);
  print_table({"", "parameters", "letter before", "right", "first letter", "right"}, rows);
  write_line_chart("lessons-out/08-questions.svg", "Two questions at once", lines,
                   {.x = "steps", .y = "nats"});
}

}  // namespace tinygpt::lessons
