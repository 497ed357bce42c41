// A small language model made of this project's kernels, with one place where positions come in:
// two blocks as those of lesson 10, RMSNorm, attention, GELU, no biases. What differs between the
// four kinds is the position alone: the same seed gives the same weights and sees the same text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tinygpt/core/random.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::lessons {

enum class Positions { none, sinusoidal, learned, rotary };
inline constexpr Positions kKinds[] = {Positions::none, Positions::sinusoidal, Positions::learned,
                                       Positions::rotary};
std::string name_of(Positions kind);

inline constexpr int kWidth = 48;         // C
inline constexpr int kHeads = 4;          // NH
inline constexpr int kHeadSize = 12;      // HS
inline constexpr int kLayers = 2;         // L
inline constexpr int kTrained = 64;       // characters of a training text
inline constexpr int kLongest = 128;      // of a text to judge by: places that there are
inline constexpr int kBatch = 16;         // training texts for a step
inline constexpr float kBase = 10000.0f;  // of the wavelengths

class SmallGpt {
 public:
  SmallGpt(Positions kind, int V, std::uint64_t seed);

  // One AdamW step on kBatch random pieces of the text; how many steps there will be decides how
  // far it goes.
  void train_step(std::span<const int> text, int step, int steps);
  // The mean loss at each place of texts of T characters, cut from this one. They are told to begin
  // at place `start`.
  std::vector<double> loss_by_place(std::span<const int> text, int T, int start = 0);
  // From now on the gradient of rotary positions is turned as queries and keys are: the wrong way.
  void turn_gradient_wrongly() { wrongly_ = true; }
  // The learned vectors, [kLongest, kWidth].
  std::span<const float> places() const { return {at(params_, place_vectors_), kPlaceVectors}; }
  // The largest relative error of some gradients, by central differences.
  double gradient_error(std::span<const int> text);

 private:
  static constexpr std::size_t kPlaceVectors = std::size_t{kLongest} * kWidth;
  struct Block {  // where its parameters begin, and what its forward pass saves
    std::int64_t norm1, qkv, proj, norm2, up, down;
    std::vector<float> in, rstd1, normed1, rows, lse, mixed, mid, rstd2, normed2, hidden, bent;
  };

  double forward(std::span<const int> tokens, std::span<const int> targets, int B, int T);
  void backward();
  void block_forward(Block& block);
  void block_backward(Block& block);
  void add_positions();

  const float* at(const std::vector<float>& of, std::int64_t begin) const {
    return of.data() + begin;
  }
  float* gradient(std::int64_t begin) { return grads_.data() + begin; }

  Positions kind_;
  bool wrongly_ = false;
  int V_, B_ = 0, T_ = 0, N_ = 0, start_ = 0;
  Ops<float> ops_;
  Random random_;
  std::vector<float> params_, grads_, m_, v_;
  std::int64_t embedding_, place_vectors_, last_norm_, head_;
  std::vector<Block> blocks_;
  std::vector<float> waves_, cosine_, sine_;  // tables of the two kinds that learn nothing
  std::vector<int> tokens_, targets_;
  std::vector<float> stream_, last_rstd_, last_normed_, logits_, losses_, lse_, dstream_, scratch_;
};

}  // namespace tinygpt::lessons
