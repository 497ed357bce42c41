#include "solutions/21-quantization/awq.h"

#include <algorithm>
#include <cmath>

#include "solutions/21-quantization/quantize.h"
#include "tests/quant/correlated.h"
#include "tests/support/catch.h"

using namespace tinygpt;
using test::correlated_inputs;
using test::Matrix;
using test::random_matrix;
using test::to_floats;
using test::to_vector;

namespace {

void round_q4_0(float* w, int rows, int cols) {
  std::vector<BlockQ4_0> blocks(static_cast<std::size_t>(rows * cols / kQuantBlock));
  ref::quantize_q4_0(blocks.data(), w, std::int64_t{rows} * cols);
  ref::dequantize_q4_0(w, blocks.data(), std::int64_t{rows} * cols);
}

std::vector<float> magnitudes(const Matrix& X) { return to_floats(X.cwiseAbs().colwise().mean()); }

// What comes out where columns are scaled by s, rounded, and scaled back.
std::vector<float> rounded_with(const std::vector<float>& w, const std::vector<float>& s,
                                int rows) {
  std::vector<float> out(w.size());
  for (std::size_t k = 0; k < w.size(); ++k) out[k] = w[k] * s[k % s.size()];
  round_q4_0(out.data(), rows, static_cast<int>(s.size()));
  for (std::size_t k = 0; k < w.size(); ++k) out[k] /= s[k % s.size()];
  return out;
}

std::vector<float> powers(const std::vector<float>& a, double alpha) {
  const double floor_of = *std::max_element(a.begin(), a.end()) * 1e-4;
  std::vector<double> p;
  for (const float x : a) p.push_back(std::pow(std::max(double{x}, floor_of), alpha));
  const auto [low, high] = std::minmax_element(p.begin(), p.end());
  const double middle = std::sqrt(*low * *high);
  std::vector<float> s;
  for (const double x : p) s.push_back(static_cast<float>(x / middle));
  return s;
}

}  // namespace

TEST_CASE("output_error is the change of the outputs, summed over the inputs", "[quantize]") {
  const std::vector<float> w = to_floats(random_matrix(5, 12, 1));
  const std::vector<float> w2 = to_floats(random_matrix(5, 12, 2));
  const Matrix X = correlated_inputs(30, 12, 3);
  const double expected = test::output_error(X, w2, w, 5);
  const double error =
      ref::output_error(w2.data(), w.data(), to_vector(X.transpose() * X).data(), 5, 12);
  CHECK(std::fabs(error / expected - 1) < 1e-9);
}

TEST_CASE("awq_scales takes the power whose rounding changes outputs least", "[quantize]") {
  const int rows = 24, cols = 64;
  const std::vector<float> w = to_floats(random_matrix(rows, cols, 4));
  // A few columns meet inputs that are twenty times as large, as in language models.
  Matrix X = correlated_inputs(200, cols, 5);
  for (const int i : {3, 17, 40}) X.col(i) *= 20;
  const std::vector<double> H = to_vector(X.transpose() * X);
  const std::vector<float> a = magnitudes(X);
  std::vector<float> scales(cols);
  const double alpha =
      ref::awq_scales(scales.data(), w.data(), a.data(), H.data(), round_q4_0, rows, cols);
  CHECK(alpha > 0.0);
  double least = INFINITY, best = -1;
  for (int step = 0; step <= 20; ++step) {
    const double error =
        test::output_error(X, rounded_with(w, powers(a, step / 20.0), rows), w, rows);
    if (error < least) least = error, best = step / 20.0;
  }
  CHECK(std::fabs(alpha - best) < 1e-12);
  const std::vector<float> expected = powers(a, best);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(std::fabs(scales[i] / expected[i] - 1) < 1e-5);
  }
  const std::vector<float> ones(cols, 1.0f);
  CHECK(least < 0.6 * test::output_error(X, rounded_with(w, ones, rows), w, rows));
}

TEST_CASE("channels without inputs get a scale, and a layer without any gets ones", "[quantize]") {
  const std::vector<float> w = to_floats(random_matrix(4, 32, 6));
  Matrix X = correlated_inputs(50, 32, 7);
  X.col(5).setZero();
  std::vector<float> scales(32);
  ref::awq_scales(scales.data(), w.data(), magnitudes(X).data(),
                  to_vector(X.transpose() * X).data(), round_q4_0, 4, 32);
  for (const float s : scales) CHECK((std::isfinite(s) && s > 0));
  const std::vector<double> H(32 * 32, 0.0);
  const std::vector<float> none(32, 0.0f);
  CHECK(ref::awq_scales(scales.data(), w.data(), none.data(), H.data(), round_q4_0, 4, 32) == 0);
  CHECK(scales == std::vector<float>(32, 1.0f));
}
