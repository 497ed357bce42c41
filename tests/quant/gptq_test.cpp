#include "tinygpt/quant/gptq.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "solutions/21-quantization/gptq.h"
#include "solutions/21-quantization/quantize.h"
#include "tests/quant/correlated.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using test::correlated_inputs;
using test::Matrix;
using test::random_matrix;
using test::to_floats;
using test::to_vector;

namespace {

std::vector<float> back(const GroupedMatrix& m) {
  std::vector<float> out(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.cols));
  dequantize_groups(out.data(), m);
  return out;
}

Matrix damped(const Matrix& H, double damping) {
  return H + damping * H.diagonal().mean() * Matrix::Identity(H.rows(), H.cols());
}

// One row, from the definition: after each rounding the columns that are left are the ones that
// make the whole output error least, found anew by least squares.
std::vector<int> codes_by_definition(const Matrix& H, const Matrix& w, const GroupedMatrix& grids,
                                     int row, const std::vector<int>& order) {
  const int n = static_cast<int>(H.rows());
  const int size = group_size(grids.format, n);
  std::vector<int> codes(static_cast<std::size_t>(n));
  Eigen::VectorXd e(n);  // by place in the order
  for (int step = 0; step < n; ++step) {
    const int left = n - step;
    Matrix rest(left, left), done(step, left);
    for (int j = 0; j < left; ++j) {
      const int c = order[static_cast<std::size_t>(step + j)];
      for (int i = 0; i < left; ++i) {
        rest(i, j) = H(order[static_cast<std::size_t>(step + i)], c);
      }
      for (int i = 0; i < step; ++i) done(i, j) = H(order[static_cast<std::size_t>(i)], c);
    }
    Eigen::VectorXd best = Eigen::VectorXd::Zero(left);
    if (step > 0) best = -rest.ldlt().solve(done.transpose() * e.head(step));
    const int column = order[static_cast<std::size_t>(step)];
    const Grid grid = grids.grid(row, column / size);
    const int code = code_of(w(row, column) + best(0), grid, grids.format.bits);
    codes[static_cast<std::size_t>(column)] = code;
    e(step) = value_of(code, grid) - w(row, column);
  }
  return codes;
}

}  // namespace

TEST_CASE("inverse_factor's U satisfies U^T U = H^-1, as Eigen inverts it", "[quantize]") {
  for (const int n : {1, 2, 3, 17, 64}) {
    const Matrix X = correlated_inputs(3 * n + 5, n, 10);
    const Matrix H = X.transpose() * X;
    std::vector<double> a = to_vector(H);
    ref::inverse_factor(a.data(), n);
    const Matrix U = Eigen::Map<const Matrix>(a.data(), n, n);
    CHECK((U.transpose() * U * H - Matrix::Identity(n, n)).norm() < 1e-7 * n);
    for (int i = 0; i < n; ++i) {
      CHECK(U(i, i) > 0);
      for (int j = 0; j < i; ++j) CHECK(U(i, j) == 0);
    }
  }
}

TEST_CASE("inverse_factor refuses what is not positive definite", "[quantize]") {
  std::vector<double> singular = {1, 1, 1, 1}, negative = {-1}, broken = {std::nan("")};
  CHECK_THROWS_AS(ref::inverse_factor(singular.data(), 2), Error);
  CHECK_THROWS_AS(ref::inverse_factor(negative.data(), 1), Error);
  CHECK_THROWS_AS(ref::inverse_factor(broken.data(), 1), Error);
}

TEST_CASE("gptq rounds as its definition says, column by column in the order", "[quantize]") {
  const int rows = 5, cols = 24;
  const Matrix w = random_matrix(rows, cols, 20);
  const Matrix X = correlated_inputs(100, cols, 21);
  const Matrix H = X.transpose() * X;
  const std::vector<float> weight = to_floats(w);
  for (const bool symmetric : {true, false}) {
    for (const int block : {1, 7, 128}) {
      const GroupFormat f{4, 8, symmetric};
      const GptqSettings s{0.01, block, true, ScaleRule::absmax};
      const GroupedMatrix m = gptq(weight.data(), to_vector(H).data(), rows, cols, f, s);
      std::vector<int> order(cols);
      for (int i = 0; i < cols; ++i) order[static_cast<std::size_t>(i)] = i;
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return H(a, a) > H(b, b); });
      for (int o = 0; o < rows; ++o) {
        const std::vector<int> codes = codes_by_definition(damped(H, 0.01), w, m, o, order);
        for (int i = 0; i < cols; ++i) {
          INFO("row " << o << " column " << i << " block " << block);
          CHECK(get_code(m, o, i) == codes[static_cast<std::size_t>(i)]);
        }
      }
    }
  }
}

TEST_CASE("of two columns, gptq's second code is the best of all sixteen", "[quantize]") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Matrix w = random_matrix(1, 2, 30 + seed);
    const Matrix X = correlated_inputs(9, 2, 300 + seed);
    const Matrix H = X.transpose() * X;
    const double damping = 1e-9;
    const GptqSettings s{damping, 128, false, ScaleRule::absmax};
    const GroupedMatrix m =
        gptq(to_floats(w).data(), to_vector(H).data(), 1, 2, GroupFormat{4, 2, true}, s);
    const Grid grid = m.grid(0, 0);
    const double e0 = value_of(get_code(m, 0, 0), grid) - w(0, 0);
    double least = std::numeric_limits<double>::infinity();
    int best = -1;
    for (int code = 0; code < 16; ++code) {
      const double e1 = value_of(code, grid) - w(0, 1);
      const double error = e0 * e0 * H(0, 0) + 2 * e0 * e1 * H(0, 1) + e1 * e1 * H(1, 1);
      if (error < least) least = error, best = code;
    }
    CHECK(get_code(m, 0, 1) == best);
    CHECK(get_code(m, 0, 0) == code_of(w(0, 0), grid, 4));
  }
}

TEST_CASE("gptq changes a layer's outputs far less than round to nearest", "[quantize]") {
  const int rows = 32, cols = 96;
  const std::vector<float> w = to_floats(random_matrix(rows, cols, 40));
  const Matrix X = correlated_inputs(400, cols, 41);
  const std::vector<double> H = to_vector(X.transpose() * X);
  for (const GroupFormat f : {GroupFormat{}, GroupFormat{4, 96, true}, GroupFormat{4, 48, false},
                              GroupFormat{8, 0, true}}) {
    const double nearest = test::output_error(
        X, back(quantize_groups(w.data(), rows, cols, f, ScaleRule::absmax, nullptr)), w, rows);
    for (const bool by_activation : {true, false}) {
      for (const ScaleRule rule : {ScaleRule::absmax, ScaleRule::searched}) {
        const GptqSettings s{0.01, 32, by_activation, rule};
        const double error =
            test::output_error(X, back(gptq(w.data(), H.data(), rows, cols, f, s)), w, rows);
        INFO("bits " << f.bits << " group " << f.group << " by activation " << by_activation);
        CHECK(error < 0.5 * nearest);
      }
    }
  }
}

TEST_CASE("where inputs have nothing to do with each other, gptq is round to nearest",
          "[quantize]") {
  const std::vector<float> w = to_floats(random_matrix(4, 64, 50));
  std::vector<double> H(64 * 64, 0.0);
  for (std::size_t i = 0; i < 64; ++i) H[i * 64 + i] = 1.0 + static_cast<double>(i);
  const GroupedMatrix nearest = quantize_groups(w.data(), 4, 64, {}, ScaleRule::absmax, nullptr);
  for (const bool by_activation : {true, false}) {
    const GroupedMatrix m =
        gptq(w.data(), H.data(), 4, 64, {}, {0.01, 128, by_activation, ScaleRule::absmax});
    CHECK(m.codes == nearest.codes);
  }
}

TEST_CASE("the fast gptq in natural order is the reference's", "[quantize]") {
  const int rows = 6, cols = 160;
  const std::vector<float> w = to_floats(random_matrix(rows, cols, 60));
  const Matrix X = correlated_inputs(500, cols, 61);
  const std::vector<double> H = to_vector(X.transpose() * X);
  std::vector<BlockQ4_0> expected(rows * cols / kQuantBlock);
  ref::gptq_quantize(expected.data(), w.data(), H.data(), rows, cols, 0.01);
  for (const int block : {1, 33, 128}) {
    const std::vector<BlockQ4_0> blocks =
        to_q4_0(gptq(w.data(), H.data(), rows, cols, {}, {0.01, block, false, ScaleRule::absmax}));
    int different = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      different += blocks[b].d.bits != expected[b].d.bits;
      for (int i = 0; i < 16; ++i) different += blocks[b].q[i] != expected[b].q[i];
    }
    CHECK(different == 0);
  }
}

TEST_CASE("gptq says what to do where the inputs say too little", "[quantize]") {
  const std::vector<float> w = to_floats(random_matrix(2, 32, 70));
  const Matrix X = correlated_inputs(5, 32, 71);  // fewer inputs than columns
  std::vector<double> H = to_vector(X.transpose() * X);
  CHECK_THROWS_AS(gptq(w.data(), H.data(), 2, 32, {}, {0.0, 128, true, ScaleRule::absmax}), Error);
  CHECK_NOTHROW(gptq(w.data(), H.data(), 2, 32, {}, {}));
  std::fill(H.begin(), H.end(), 0.0);
  CHECK_THROWS_AS(gptq(w.data(), H.data(), 2, 32, {}, {}), Error);
}
