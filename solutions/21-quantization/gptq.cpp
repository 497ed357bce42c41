#include "solutions/21-quantization/gptq.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tinygpt/core/error.h"

namespace tinygpt::ref {

// First a = R R^T with R upper triangular, from the last column to the first; then U = R^-1, from
// the last row to the first: a^-1 = (R R^T)^-1 = U^T U.
void inverse_factor(double* a, int n) {
  const auto N = static_cast<std::size_t>(n);
  std::vector<double> column(N), row(N);
  for (std::size_t j = N; j-- > 0;) {
    check(a[j * N + j] > 0.0,
          "gptq: the Hessian is not positive definite: were there fewer inputs than columns? Damp "
          "it, or damp it more");
    const double root = std::sqrt(a[j * N + j]);
    for (std::size_t i = 0; i <= j; ++i) column[i] = a[i * N + j] / root;
    for (std::size_t k = 0; k < j; ++k) {
      a[k * N + j] = column[k];
      for (std::size_t i = k; i < j; ++i) a[k * N + i] -= column[k] * column[i];
    }
    a[j * N + j] = root;
  }
  for (std::size_t i = N; i-- > 0;) {
    std::copy_n(a + i * N, N, row.begin());
    const double inverse = 1.0 / row[i];
    std::fill_n(a + i * N, N, 0.0);
    for (std::size_t k = i + 1; k < N; ++k) {
      for (std::size_t j = k; j < N; ++j) a[i * N + j] -= inverse * row[k] * a[k * N + j];
    }
    a[i * N + i] = inverse;
  }
}

namespace {

// Half precision of m / -8, m the value of largest magnitude among 32, with its sign.
Float16 scale_of(const double* w) {
  const double* largest = std::max_element(
      w, w + kQuantBlock, [](double a, double b) { return std::fabs(a) < std::fabs(b); });
  return Float16(static_cast<float>(*largest / -8.0));
}

// Value i's four bits of a block.
void set_step(BlockQ4_0& block, int i, int step) {
  std::uint8_t& byte = block.q[i % (kQuantBlock / 2)];
  const bool high = i >= kQuantBlock / 2;
  byte = static_cast<std::uint8_t>(high ? (byte & 15) | step << 4 : (byte & 0xf0) | step);
}

}  // namespace

// Frantar et al.: "GPTQ" (2022), algorithm 1, one column after another:
//
//   H     = hessian + damping * mean_i(hessian[i, i]) * I
//   U     = inverse_factor(H)
//   for i = 0 .. cols - 1, in every row o:
//     where 32 divides i: d = scale_of the 32 weights from i on, as they stand now
//     q     = floor(w[o, i] / d + 8.5), at least 0, at most 15    (8 where d is 0)
//     e     = (w[o, i] - d * (q - 8)) / U[i, i]
//     w[o, j] -= e * U[i, j]     for all j > i
//
// out [rows, cols / 32] written; weight and hessian stay as they are. set_step writes a q.
void gptq_quantize(BlockQ4_0* out, const float* weight, const double* hessian, int rows, int cols,
                   double damping) {
  check(cols % kQuantBlock == 0, "gptq: rows must be multiples of 32 values, one block each");
  const auto C = static_cast<std::size_t>(cols);
  // your code: 21.gptq_quantize
  std::vector<double> U(hessian, hessian + C * C);
  double trace = 0.0;
  for (std::size_t i = 0; i < C; ++i) trace += U[i * C + i];
  for (std::size_t i = 0; i < C; ++i) U[i * C + i] += damping * trace / cols;
  inverse_factor(U.data(), cols);
  std::vector<double> w(C);
  for (int o = 0; o < rows; ++o) {
    std::copy_n(weight + static_cast<std::size_t>(o) * C, C, w.begin());
    BlockQ4_0* blocks = out + static_cast<std::size_t>(o) * (C / kQuantBlock);
    for (std::size_t i = 0; i < C; ++i) {
      BlockQ4_0& block = blocks[i / kQuantBlock];
      if (i % kQuantBlock == 0) block.d = scale_of(&w[i]);
      const double d = block.d;
      const double q = d == 0.0 ? 8.0 : std::clamp(std::floor(w[i] / d + 8.5), 0.0, 15.0);
      set_step(block, static_cast<int>(i % kQuantBlock), static_cast<int>(q));
      const double error = (w[i] - d * (q - 8.0)) / U[i * C + i];
      for (std::size_t j = i + 1; j < C; ++j) w[j] -= error * U[i * C + j];
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
