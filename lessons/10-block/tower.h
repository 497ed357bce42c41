// A tower of many small blocks, made of the table's operators: it looks at the last characters of a
// text and predicts the next one. Each part that a block may have can be left out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/core/random.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::lessons {

inline constexpr int kPlaces = 8;   // characters that it looks at
inline constexpr int kWidth = 8;    // numbers for each of them
inline constexpr int kStream = 32;  // C: numbers that run through the blocks
inline constexpr int kHidden = 64;  // H: numbers inside a block
inline constexpr int kBatch = 64;   // N: places in the text for each step

enum class Norm { none, before, after };  // pre-norm, post-norm

struct Design {
  std::string name;
  bool residual = true;
  Norm norm = Norm::before;
  int layers = 32;
  float dropout = 0;
};

class Tower {
 public:
  Tower(Design design, int V, std::uint64_t seed);

  // One step of AdamW on kBatch random places of the text. The loss before it.
  double train_step(const std::vector<int>& text, float learning_rate);
  // The mean loss over at most kBatch * 16 places of the text, without dropout.
  double loss(const std::vector<int>& text);
  // The norm of the loss's gradient by the stream before each block, and behind the last one, on
  // the same places of the text for every tower.
  std::vector<double> gradient_norms(const std::vector<int>& text);
  // The largest relative error of the gradient, by central differences.
  double gradient_error(const std::vector<int>& text);
  std::int64_t parameters() const { return static_cast<std::int64_t>(params_.size()); }

 private:
  struct Places {
    std::vector<int> tokens, targets;  // [N, kPlaces], [N]
    int N = 0;
  };
  Places places(const std::vector<int>& text, const std::vector<std::int64_t>& at) const;
  Places spread(const std::vector<int>& text, int count) const;
  double forward(const Places& p, bool training);
  void backward(const Places& p);
  void block_forward(int layer);
  void block_backward(int layer);
  void make_room(int N);
  // The stream of random numbers for a block's dropout in this step.
  std::uint64_t mask(int layer) const {
    return static_cast<std::uint64_t>(step_) * 1000 + static_cast<std::uint64_t>(layer) + 1;
  }

  // Parameters lie one after the other: part(params_, i) is number i of them.
  enum Part { table, into, into_bias, out, out_bias, last_scale, last_shift, blocks };
  enum OfBlock { scale, shift, up, up_bias, down, down_bias, per_block };
  int of(int layer, OfBlock which) const { return blocks + layer * per_block + which; }
  float* part(std::vector<float>& all, int which) {
    return all.data() + begin_[static_cast<std::size_t>(which)];
  }
  float* row(std::vector<float>& all, int layer, int width) {
    return all.data() + std::int64_t{layer} * N_ * width;
  }

  Design design_;
  Ops<float> ops_;
  int V_, N_ = 0, step_ = 0;
  bool training_ = false;
  Random random_;
  std::vector<std::int64_t> begin_;
  std::vector<float> params_, grads_, m_, v_;
  // [layers + 1, N, ...]: what each block saves for its backward pass, and the stream's gradient.
  std::vector<float> stream_, dstream_, normed_, mean_, rstd_, hidden_, bent_, branch_;
  std::vector<float> embedded_, logits_, losses_, lse_, scratch_;
};

}  // namespace tinygpt::lessons
