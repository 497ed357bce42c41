#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lessons/07-self-attention/children.h"
#include "solutions/03-matmul/matmul.h"
#include "solutions/04-bigram/softmax.h"
#include "solutions/05-backprop/backprop.h"
#include "solutions/05-backprop/descent.h"
#include "solutions/07-self-attention/self_attention.h"

namespace tinygpt::lessons {

const std::vector<std::string> kNameWords = {"Ada", "Ben",  "Cleo", "Dan",
                                             "Eva", "Finn", "Gus",  "Hana"};
const std::vector<std::string> kToyWords = {"ball", "boat", "drum", "hat",
                                            "kite", "lamp", "rope", "top"};

Table random_table(Random& random) {
  std::vector<int> names(kNames);
  for (int i = 0; i < kNames; ++i) names[static_cast<std::size_t>(i)] = i;
  Table table(kChildren);
  for (std::size_t t = 0; t < table.size(); ++t) {
    std::swap(names[t], names[t + random.below(names.size() - t)]);
    table[t].name = names[t];
    table[t].toy = static_cast<int>(random.below(kToys));
  }
  for (std::size_t t = 0; t < table.size(); ++t) {
    const std::size_t other = (t + 1 + random.below(table.size() - 1)) % table.size();
    table[t].watches = table[other].name;
  }
  return table;
}

std::vector<int> answers(const Table& table) {
  std::vector<int> toys;
  for (const Child& child : table) {
    const auto watched = std::find_if(table.begin(), table.end(),
                                      [&](const Child& c) { return c.name == child.watches; });
    toys.push_back(watched->toy);
  }
  return toys;
}

namespace {

std::vector<float> random_weights(Random& random, int rows, int columns, double deviation) {
  std::vector<float> w(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  for (float& value : w) value = static_cast<float>(deviation * random.normal());
  return w;
}

constexpr int kSquare = kChildren * kChildren;

}  // namespace

// Three ones in each row of x: with weights of deviation 1 / sqrt(3), the numbers of q, k and v
// have a deviation of 1.
Onlooker::Onlooker(Mix mix, int HS, std::uint64_t seed)
    : mix_(mix), HS_(HS), loudness_(mix == Mix::unscaled ? std::sqrt(static_cast<float>(HS)) : 1) {
  Random random{seed};
  const double deviation = 1 / std::sqrt(3.0);
  wq_ = random_weights(random, HS, kFeatures, deviation);
  wk_ = random_weights(random, HS, kFeatures, deviation);
  wv_ = random_weights(random, HS, kFeatures, deviation);
  wo_ = random_weights(random, kToys, HS, 1 / std::sqrt(HS));
}

// snippet: mix
void Onlooker::mix_forward(int b) {
  const int at = b * kChildren * HS_, square = b * kSquare;
  if (mix_ == Mix::mean) {
    std::fill_n(p_.data() + square, kSquare, 1.0f / kChildren);
    ref::weighted_sum(out_.data() + at, p_.data() + square, v_.data() + at, kChildren, HS_);
  } else {
    ref::attention_forward(out_.data() + at, scores_.data() + square, p_.data() + square,
                           q_.data() + at, k_.data() + at, v_.data() + at, kChildren, HS_);
  }
}
// end of snippet

void Onlooker::mix_backward(int b) {
  const int at = b * kChildren * HS_, square = b * kSquare;
  if (mix_ == Mix::mean) {  // all weights are the same, transposed or not
    ref::weighted_sum(dv_.data() + at, p_.data() + square, dout_.data() + at, kChildren, HS_);
  } else {
    ref::attention_backward(dq_.data() + at, dk_.data() + at, dv_.data() + at, dp_.data() + square,
                            ds_.data() + square, dout_.data() + at, p_.data() + square,
                            q_.data() + at, k_.data() + at, v_.data() + at, kChildren, HS_);
  }
}

void Onlooker::forward(const std::vector<Table>& tables) {
  N_ = static_cast<int>(tables.size()) * kChildren;
  const auto room = [this](Floats& of, int columns) {
    of.assign(static_cast<std::size_t>(N_) * static_cast<std::size_t>(columns), 0.0f);
  };
  room(x_, kFeatures), room(logits_, kToys), room(lse_, 1);
  for (Floats* of : {&q_, &k_, &v_, &out_, &dq_, &dk_, &dv_, &dout_}) room(*of, HS_);
  for (Floats* of : {&scores_, &p_, &dp_, &ds_}) room(*of, kChildren);
  targets_.clear();
  std::size_t n = 0;
  for (const Table& table : tables) {
    for (const Child& child : table) {
      float* x_n = x_.data() + n++ * kFeatures;
      x_n[child.name] = x_n[kNames + child.watches] = x_n[2 * kNames + child.toy] = 1.0f;
    }
    for (const int toy : answers(table)) targets_.push_back(toy);
  }
  ref::linear_forward(q_.data(), x_.data(), wq_.data(), nullptr, nullptr, N_, kFeatures, HS_);
  ref::linear_forward(k_.data(), x_.data(), wk_.data(), nullptr, nullptr, N_, kFeatures, HS_);
  ref::linear_forward(v_.data(), x_.data(), wv_.data(), nullptr, nullptr, N_, kFeatures, HS_);
  for (float& value : q_) value *= loudness_;
  for (int b = 0; b < N_ / kChildren; ++b) mix_forward(b);
  ref::linear_forward(logits_.data(), out_.data(), wo_.data(), nullptr, nullptr, N_, HS_, kToys);
}

double Onlooker::losses(const std::vector<Table>& tables) {
  forward(tables);
  Floats of_row(static_cast<std::size_t>(N_));
  ref::cross_entropy_forward(of_row.data(), lse_.data(), logits_.data(), targets_.data(), N_,
                             kToys);
  double sum = 0;
  for (const float loss : of_row) sum += loss;
  return sum / N_;
}

double Onlooker::train_step(const std::vector<Table>& tables, float learning_rate) {
  const double loss = losses(tables);
  Floats dlogits(logits_.size()), dwq(wq_.size()), dwk(wk_.size()), dwv(wv_.size()),
      dwo(wo_.size());
  ref::softmax_cross_entropy_backward(dlogits.data(), logits_.data(), lse_.data(), targets_.data(),
                                      N_, kToys, 1.0f / static_cast<float>(N_));
  ref::linear_backward(dout_.data(), dwo.data(), nullptr, dlogits.data(), out_.data(), wo_.data(),
                       nullptr, N_, HS_, kToys);
  for (int b = 0; b < N_ / kChildren; ++b) mix_backward(b);
  for (float& value : dq_) value *= loudness_;
  const auto to_weights = [&](Floats& dw, const Floats& d) {
    ref::linear_backward(nullptr, dw.data(), nullptr, d.data(), x_.data(), nullptr, nullptr, N_,
                         kFeatures, HS_);
  };
  to_weights(dwq, dq_), to_weights(dwk, dk_), to_weights(dwv, dv_);
  const auto step = [&](Floats& w, const Floats& dw) {
    ref::sgd_step(w.data(), dw.data(), learning_rate, static_cast<std::int64_t>(w.size()));
  };
  step(wq_, dwq), step(wk_, dwk), step(wv_, dwv), step(wo_, dwo);
  return loss;
}

Onlooker::Score Onlooker::score(const std::vector<Table>& tables) {
  const double loss = losses(tables);
  int right = 0;
  for (std::size_t n = 0; n < targets_.size(); ++n) {
    const float* row = logits_.data() + n * kToys;
    right += std::max_element(row, row + kToys) - row == targets_[n];
  }
  return {loss, 100.0 * right / N_};
}

std::vector<double> Onlooker::look(const Table& table) {
  forward({table});
  return {p_.begin(), p_.end()};
}

std::vector<double> Onlooker::match() const {
  std::vector<double> out;
  for (int a = 0; a < kNames; ++a) {
    for (int b = 0; b < kNames; ++b) {
      double sum = 0;
      for (int d = 0; d < HS_; ++d) {
        const auto row = static_cast<std::size_t>(d * kFeatures);
        sum += double{wq_[row + static_cast<std::size_t>(kNames + a)]} *
               wk_[row + static_cast<std::size_t>(b)];
      }
      out.push_back(loudness_ * sum / std::sqrt(HS_));
    }
  }
  return out;
}

}  // namespace tinygpt::lessons
