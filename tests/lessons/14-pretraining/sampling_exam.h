// What the examinations of lesson 14 share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

// Probabilities with a value in front and one behind, which nobody may change.
class Fenced {
 public:
  explicit Fenced(const Values& inner) : all_(1, kFence) {
    all_.insert(all_.end(), inner.begin(), inner.end());
    all_.push_back(kFence);
  }
  std::span<double> inner() { return std::span<double>(all_).subspan(1, all_.size() - 2); }
  Values values(Exam& exam) {
    exam.expect_true(
        all_.front() == kFence && all_.back() == kFence,
        fmt::format("it wrote in front of or behind the {} probabilities", all_.size() - 2),
        "Compare the loops' ends with the shapes in the contract.");
    return {inner().begin(), inner().end()};
  }

 private:
  static constexpr double kFence = -77.25;
  Values all_;
};

inline Values shares(Values values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  for (double& value : values) value /= sum;
  return values;
}

inline Values softmax(const Values& x, double factor = 1) {
  const double largest = *std::max_element(x.begin(), x.end());
  Values out;
  for (const double value : x) out.push_back(std::exp((value - largest) * factor));
  return shares(out);
}

inline bool broken(const Answer& answer) {
  return std::ranges::any_of(answer.actual, [](double x) { return !std::isfinite(x); });
}

// Tokens in some order.
using Order = std::vector<std::size_t>;

// Sorted here in another way than the exercise's helper does.
inline Order sorted_tokens(const Values& p) {
  Order order(p.size());
  for (std::size_t v = 0; v < p.size(); ++v) {
    std::size_t in_front = 0;
    for (std::size_t w = 0; w < p.size(); ++w) in_front += p[w] > p[v] || (p[w] == p[v] && w < v);
    order[in_front] = v;
  }
  return order;
}

inline Order as_they_come(const Values& p) {
  Order order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

// The first `count` tokens of an order, as they are.
inline Values cut(const Values& p, const Order& order, std::size_t count) {
  Values out(p.size(), 0.0);
  for (std::size_t i = 0; i < std::min(count, p.size()); ++i) out[order[i]] = p[order[i]];
  return out;
}

}  // namespace tinygpt::lessons
