// Row-major matrices of doubles over flat arrays.
#pragma once

#include <Eigen/Core>

#include "tests/support/compare.h"

namespace tinygpt::test {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::Matrix<double, 1, Eigen::Dynamic>;
using Column = Eigen::VectorXd;

inline Eigen::Map<const Matrix> matrix(const Values& values, int rows, int columns) {
  return {values.data(), rows, columns};
}
inline Eigen::Map<const Row> row_vector(const Values& values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}
inline Values flat(const Matrix& m) { return {m.data(), m.data() + m.size()}; }

}  // namespace tinygpt::test
