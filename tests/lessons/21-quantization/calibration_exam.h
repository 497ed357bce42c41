// Inputs and Hessians for the examinations of gptq_quantize and awq_scales.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/lessons/21-quantization/blocks_exam.h"

namespace tinygpt::lessons {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// A layer and what it sees.
struct Layer {
  int rows = 0, cols = 0;
  std::vector<float> weight;  // [rows, cols]
  Matrix X;                   // [count, cols]
  Matrix H;                   // X^T X
  std::vector<double> hessian;
};

inline Matrix random_matrix(int rows, int cols, std::uint64_t seed) {
  const Values v = random_values(std::int64_t{rows} * cols, seed);
  return Eigen::Map<const Matrix>(v.data(), rows, cols);
}

// Columns that have something to do with each other, of unequal size.
inline Layer random_layer(int rows, int cols, int count, std::uint64_t seed) {
  Layer layer{rows, cols, {}, {}, {}, {}};
  for (const double v : random_values(std::int64_t{rows} * cols, seed)) {
    layer.weight.push_back(static_cast<float>(v));
  }
  layer.X = random_matrix(count, 4, seed + 1) * random_matrix(4, cols, seed + 2) +
            0.5 * random_matrix(count, cols, seed + 3);
  for (int i = 0; i < cols; ++i) layer.X.col(i) *= 0.3 + (i * 5 % 7) * 0.4;
  layer.H = layer.X.transpose() * layer.X;
  layer.hessian.assign(layer.H.data(), layer.H.data() + layer.H.size());
  return layer;
}

}  // namespace tinygpt::lessons
