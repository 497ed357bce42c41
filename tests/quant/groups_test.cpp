#include "tinygpt/quant/groups.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "solutions/21-quantization/quantize.h"
#include "tests/quant/correlated.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using test::correlated_inputs;
using test::random_matrix;
using test::to_floats;
using test::to_vector;

namespace {

std::vector<float> back(const GroupedMatrix& m) {
  std::vector<float> out(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.cols));
  dequantize_groups(out.data(), m);
  return out;
}

double weighted_error(const std::vector<float>& a, const std::vector<float>& b,
                      const std::vector<float>& importance) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double e = double{a[k]} - b[k];
    sum += importance[k % importance.size()] * e * e;
  }
  return sum;
}

}  // namespace

TEST_CASE("groups of 32 in four bits with absmax are Q4_0", "[quantize]") {
  const std::vector<float> w = to_floats(random_matrix(7, 96, 1));
  const GroupedMatrix m = quantize_groups(w.data(), 7, 96, {}, ScaleRule::absmax, nullptr);
  std::vector<BlockQ4_0> expected(7 * 3);
  ref::quantize_q4_0(expected.data(), w.data(), 7 * 96);
  const std::vector<BlockQ4_0> blocks = to_q4_0(m);
  int different = 0;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    CHECK(blocks[b].d.bits == expected[b].d.bits);
    // ggml divides by the float scale, this by the half one that is kept: ties may differ.
    for (int i = 0; i < 16; ++i) different += blocks[b].q[i] != expected[b].q[i];
  }
  CHECK(different <= 5);
  std::vector<float> values(w.size());
  ref::dequantize_q4_0(values.data(), blocks.data(), 7 * 96);
  CHECK(values == back(m));
}

TEST_CASE("a value inside its group's range is off by half a step at most", "[quantize]") {
  const int rows = 3, cols = 50;  // the last group of 16 has two values
  const std::vector<float> w = to_floats(random_matrix(rows, cols, 2, 3.0));
  for (const int bits : {4, 8}) {
    for (const bool symmetric : {true, false}) {
      for (const int group : {0, 1, 16, 64}) {
        const GroupFormat f{bits, group, symmetric};
        const GroupedMatrix m =
            quantize_groups(w.data(), rows, cols, f, ScaleRule::absmax, nullptr);
        const std::vector<float> w2 = back(m);
        const int size = group_size(f, cols), top = (1 << bits) - 1;
        for (int o = 0; o < rows; ++o) {
          for (int i = 0; i < cols; ++i) {
            const Grid grid = m.grid(o, i / size);
            const auto k = static_cast<std::size_t>(o * cols + i);
            const float ends[2] = {value_of(0, grid), value_of(top, grid)};
            const float low = std::min(ends[0], ends[1]), high = std::max(ends[0], ends[1]);
            const float nearest = std::clamp(w[k], low, high);
            INFO("bits " << bits << " symmetric " << symmetric << " group " << group);
            REQUIRE(std::fabs(w2[k] - nearest) <= 0.50001f * std::fabs(grid.scale));
            // Nothing is clipped by more than one step: the step that symmetric grids lack.
            REQUIRE(std::fabs(w[k] - nearest) <= 1.01f * std::fabs(grid.scale));
          }
        }
      }
    }
  }
}

TEST_CASE("an asymmetric group keeps zero, and uses all codes of one-sided values", "[quantize]") {
  std::vector<float> w;
  for (int i = 0; i < 16; ++i) w.push_back(static_cast<float>(i) * 0.5f);
  const GroupedMatrix m =
      quantize_groups(w.data(), 1, 16, {4, 16, false}, ScaleRule::absmax, nullptr);
  CHECK(m.grid(0, 0).zero == 0);
  CHECK(back(m) == w);
  for (float& x : w) x = x - 3.0f;
  CHECK(back(quantize_groups(w.data(), 1, 16, {4, 16, false}, ScaleRule::absmax, nullptr)) == w);
}

TEST_CASE("searched scales are never worse than absmax, and better on heavy tails", "[quantize]") {
  test::Matrix heavy = random_matrix(16, 128, 3);
  heavy = heavy.array().cube();
  const std::vector<float> w = to_floats(heavy);
  std::vector<float> importance;
  std::vector<double> H(128 * 128, 0.7);  // what is beside the diagonal does not count
  for (std::size_t i = 0; i < 128; ++i) {
    importance.push_back(i % 3 == 0 ? 25.0f : 1.0f);
    H[i * 128 + i] = importance[i];
  }
  for (const bool symmetric : {true, false}) {
    for (const int group : {32, 128}) {
      const GroupFormat f{4, group, symmetric};
      const auto error = [&](ScaleRule rule) {
        return weighted_error(back(quantize_groups(w.data(), 16, 128, f, rule, H.data())), w,
                              importance);
      };
      CHECK(error(ScaleRule::searched) < 0.9 * error(ScaleRule::absmax));
    }
  }
}

TEST_CASE("a searched scale is as good as the best of a fine sweep", "[quantize]") {
  const std::vector<float> w = to_floats(random_matrix(1, 32, 4));
  const auto error = [&](const Grid& grid) {
    double sum = 0;
    for (const float x : w) sum += std::pow(double{value_of(code_of(x, grid, 4), grid)} - x, 2);
    return sum;
  };
  double least = INFINITY;
  for (int i = -4000; i <= 4000; ++i) {
    if (i != 0) least = std::min(least, error({static_cast<float>(Float16(i * 1e-4f)), 8}));
  }
  CHECK(error(find_grid(w.data(), 32, {}, ScaleRule::searched)) <= 1.05 * least);
}

TEST_CASE("a group whose large weight meets no input is clipped", "[quantize]") {
  // One weight is far larger than the others, and its input a thousandth of theirs.
  test::Matrix weight = random_matrix(4, 64, 5), X = random_matrix(400, 64, 6);
  for (const int large : {9, 40}) {
    weight.col(large).setConstant(8);
    X.col(large) *= 1e-3;
  }
  const std::vector<float> w = to_floats(weight);
  const std::vector<double> H = to_vector(X.transpose() * X);
  for (const bool symmetric : {true, false}) {
    for (const int group : {32, 0}) {
      const GroupFormat f{4, group, symmetric};
      const GroupedMatrix plain = quantize_groups(w.data(), 4, 64, f, ScaleRule::absmax, H.data());
      const GroupedMatrix clipped =
          quantize_groups(w.data(), 4, 64, f, ScaleRule::outputs, H.data());
      INFO("group " << group << " symmetric " << symmetric);
      for (std::size_t k = 0; k < plain.scale.size(); ++k) {
        CHECK(std::fabs(float{clipped.scale[k]}) < 0.8f * std::fabs(float{plain.scale[k]}));
      }
      CHECK(test::output_error(X, back(clipped), w, 4) <
            0.5 * test::output_error(X, back(plain), w, 4));
    }
  }
}

TEST_CASE("errors that cancel in the outputs cost a group nothing", "[quantize]") {
  // All inputs are one and the same: only the sum of a group's errors counts.
  const std::vector<float> w = to_floats(random_matrix(64, 32, 7));
  const test::Matrix X = test::Matrix::Ones(10, 32);
  const std::vector<double> H = to_vector(X.transpose() * X);
  const auto error = [&](ScaleRule rule, const double* hessian) {
    return test::output_error(X, back(quantize_groups(w.data(), 64, 32, {}, rule, hessian)), w, 64);
  };
  const double searched = error(ScaleRule::searched, H.data());
  CHECK(error(ScaleRule::outputs, H.data()) < 0.05 * searched);
  // Without inputs there is nothing to judge outputs by.
  CHECK(error(ScaleRule::outputs, nullptr) == error(ScaleRule::searched, nullptr));
}

TEST_CASE("a group's grid is judged by its own inputs", "[quantize]") {
  // Two groups of the same weights. What one rule makes of either is what it makes of it alone.
  const std::vector<float> half = to_floats(random_matrix(1, 16, 8));
  std::vector<float> w = half;
  w.insert(w.end(), half.begin(), half.end());
  const test::Matrix X = correlated_inputs(100, 32, 9), H = X.transpose() * X;
  const std::vector<double> all = to_vector(H), first = to_vector(H.topLeftCorner(16, 16)),
                            last = to_vector(H.bottomRightCorner(16, 16));
  for (const ScaleRule rule : {ScaleRule::searched, ScaleRule::outputs}) {
    const GroupedMatrix m = quantize_groups(w.data(), 1, 32, {4, 16, true}, rule, all.data());
    const float scales[] = {find_grid(half.data(), 16, {}, rule, first.data(), 16).scale,
                            find_grid(half.data(), 16, {}, rule, last.data(), 16).scale};
    CHECK(m.grid(0, 0).scale == scales[0]);
    CHECK(m.grid(0, 1).scale == scales[1]);
    CHECK(scales[0] != scales[1]);
    // Never worse than what clips nothing, by the group's own outputs.
    const auto error = [&](ScaleRule other) {
      const GroupedMatrix g = quantize_groups(half.data(), 1, 16, {}, other, last.data());
      return test::output_error(X.rightCols(16), back(g), half, 1);
    };
    CHECK(error(ScaleRule::outputs) <= error(rule));
    CHECK(error(ScaleRule::outputs) <= error(ScaleRule::absmax));
  }
}

TEST_CASE("codes of four bits are two a byte, and rows begin at a byte", "[quantize]") {
  GroupedMatrix m = make_grouped({4, 0, true}, 3, 5);
  CHECK(m.codes.size() == 9);
  for (int o = 0; o < 3; ++o) {
    for (int i = 0; i < 5; ++i) set_code(m, o, i, (o * 5 + i * 3) % 16);
  }
  for (int o = 0; o < 3; ++o) {
    for (int i = 0; i < 5; ++i) CHECK(get_code(m, o, i) == (o * 5 + i * 3) % 16);
  }
  CHECK(bytes_in({4, 0, true}, 3, 5) == 9 + 3 * 2);
  CHECK(bytes_in({4, 2, false}, 3, 5) == 9 + 9 * 3);
  CHECK(bytes_in({8, 32, true}, 2, 64) == 128 + 8);
}

TEST_CASE("formats and weights that make no sense are refused", "[quantize]") {
  std::vector<float> w(64, 1.0f);
  const auto attempt = [&](GroupFormat f) {
    quantize_groups(w.data(), 2, 32, f, ScaleRule::absmax, nullptr);
  };
  CHECK_THROWS_AS(attempt({5, 32, true}), Error);
  CHECK_THROWS_AS(attempt({4, -1, true}), Error);
  CHECK_THROWS_AS(to_q4_0(make_grouped({4, 16, true}, 1, 32)), Error);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf(""), 3e38f}) {
    w[40] = bad;
    CHECK_THROWS_AS(attempt({}), Error);
  }
}
