// The toy task of lesson 07. Children sit around a table. Each has a name, holds a toy and watches
// another child; the question at each place is which toy the watched child holds. The answer is not
// at the place where it is asked: somebody has to look.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/core/random.h"

namespace tinygpt::lessons {

inline constexpr int kNames = 8, kToys = 8;
inline constexpr int kChildren = 6;                   // at a table: T
inline constexpr int kFeatures = 2 * kNames + kToys;  // a name, a name that is watched, a toy: C

extern const std::vector<std::string> kNameWords, kToyWords;

struct Child {
  int name, watches, toy;
};
using Table = std::vector<Child>;

// Different children, who each watch another one at the table. Toys may come twice.
Table random_table(Random& random);
// For each child, the toy that the watched one holds.
std::vector<int> answers(const Table& table);

// How a model mixes the children: all alike, or by attention with or without the scale.
enum class Mix { mean, unscaled, scaled };

// Inputs as three ones among zeros -> q, k, v -> a mix of v -> a score for each toy. Made of this
// course's functions; plain gradient descent.
class Onlooker {
 public:
  Onlooker(Mix mix, int HS, std::uint64_t seed);

  double train_step(const std::vector<Table>& tables, float learning_rate);
  // The mean loss in nats, and how many answers of a hundred are right.
  struct Score {
    double loss, percent;
  };
  Score score(const std::vector<Table>& tables);
  // Who looks at whom, [T, T].
  std::vector<double> look(const Table& table);
  // The score of "watches a" as a query with "is called b" as a key, [kNames, kNames].
  std::vector<double> match() const;

 private:
  using Floats = std::vector<float>;
  void forward(const std::vector<Table>& tables);
  void mix_forward(int b);
  void mix_backward(int b);
  double losses(const std::vector<Table>& tables);

  Mix mix_;
  int HS_, N_ = 0;  // N_: rows, kChildren for each table
  float loudness_;  // what q is multiplied by: sqrt(HS) takes the scale back
  Floats wq_, wk_, wv_, wo_;
  Floats x_, q_, k_, v_, scores_, p_, out_, logits_, lse_;
  Floats dq_, dk_, dv_, dp_, ds_, dout_;
  std::vector<int> targets_;
};

}  // namespace tinygpt::lessons
