// Inputs whose columns have something to do with each other, and their Hessian.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "tests/support/random_values.h"

namespace tinygpt::test {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline Matrix random_matrix(int rows, int cols, std::uint64_t seed, double scale = 1.0) {
  const Values values = random_values(std::int64_t{rows} * cols, seed, scale);
  return Eigen::Map<const Matrix>(values.data(), rows, cols);
}

// X [count, cols]: a few hidden causes behind all columns, and noise; columns of unequal size.
inline Matrix correlated_inputs(int count, int cols, std::uint64_t seed) {
  Matrix X = random_matrix(count, 3, seed) * random_matrix(3, cols, seed + 1) +
             0.3 * random_matrix(count, cols, seed + 2);
  for (int i = 0; i < cols; ++i) X.col(i) *= 0.2 + (i * 7 % 5);
  return X;
}

inline std::vector<double> to_vector(const Matrix& m) { return {m.data(), m.data() + m.size()}; }

inline std::vector<float> to_floats(const Matrix& m) { return {m.data(), m.data() + m.size()}; }

// |X (rounded - weight)^T|^2, by its definition.
inline double output_error(const Matrix& X, const std::vector<float>& rounded,
                           const std::vector<float>& weight, int rows) {
  const auto map = [&](const std::vector<float>& w) -> Matrix {
    using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    return Eigen::Map<const FloatMatrix>(w.data(), rows, X.cols()).cast<double>();
  };
  return (X * (map(rounded) - map(weight)).transpose()).squaredNorm();
}

}  // namespace tinygpt::test
