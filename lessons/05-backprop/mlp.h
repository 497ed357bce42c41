// A multilayer perceptron as a language model, made of this course's kernels: the last few
// characters, looked up in a table, through two linear layers with a GELU between them.
// Bengio et al.: "A Neural Probabilistic Language Model" (2003).
#pragma once

#include <cstdint>
#include <vector>

#include "tinygpt/core/random.h"

namespace tinygpt::lessons {

inline constexpr int kPlaces = 4;   // characters that it looks at
inline constexpr int kWidth = 12;   // numbers for each of them
inline constexpr int kHidden = 64;  // numbers between the two layers
inline constexpr int kBatch = 32;   // places in the text for each step

class Mlp {
 public:
  Mlp(int V, std::uint64_t seed);

  // One step on kBatch random places of the text.
  void train_step(const std::vector<int>& text, float learning_rate);
  // The mean loss over the text, in nats a character.
  double loss(const std::vector<int>& text);
  // The largest relative error of the gradient on a text, by central differences.
  double gradient_error(const std::vector<int>& text);
  std::int64_t parameters() const { return static_cast<std::int64_t>(params_.size()); }

 private:
  struct Places {
    std::vector<int> tokens, targets;  // [N, kPlaces], [N]
    int N = 0;
  };
  Places places(const std::vector<int>& text, const std::vector<std::int64_t>& at) const;
  double forward(const Places& p);
  void backward(const Places& p);

  float* part(std::vector<float>& of, int which) { return of.data() + begin_[which]; }

  int V_;
  Random random_;
  std::vector<std::int64_t> begin_;  // of table, weight 1, bias 1, weight 2, bias 2, and the end
  std::vector<float> params_, grads_;
  std::vector<float> embedded_, hidden_, bent_, logits_, losses_, lse_;
};

}  // namespace tinygpt::lessons
