#include "solutions/21-quantization/awq.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tinygpt::ref {

double output_error(const float* rounded, const float* weight, const double* hessian, int rows,
                    int cols) {
  const auto C = static_cast<std::size_t>(cols);
  std::vector<double> e(C), product(C);
  double sum = 0.0;
  for (std::size_t o = 0; o < static_cast<std::size_t>(rows); ++o) {
    for (std::size_t i = 0; i < C; ++i) e[i] = double{rounded[o * C + i]} - weight[o * C + i];
    std::fill(product.begin(), product.end(), 0.0);
    for (std::size_t i = 0; i < C; ++i) {
      if (e[i] == 0.0) continue;
      for (std::size_t j = 0; j < C; ++j) product[j] += e[i] * hessian[i * C + j];
    }
    for (std::size_t j = 0; j < C; ++j) sum += e[j] * product[j];
  }
  return sum;
}

// Lin et al.: "AWQ" (2023), section 3.2. For alpha = 0, 0.05, ..., 1:
//
//   a[i] = max(activation[i], largest / 10,000)        largest = max_i activation[i]
//   s[i] = a[i]^alpha / sqrt(max_j a[j]^alpha * min_j a[j]^alpha)
//   w'   = round(w * s) / s                            row by row, s[i] on column i
//   E    = output_error(w', w)
//
// The s of the smallest E goes to scales, of equals that of the smallest alpha; alpha is returned.
// Where all activations are 0, every s is 1 and alpha 0.
//
// scales [cols] written; weight [rows, cols], activation [cols] and hessian [cols, cols] stay.
double awq_scales(float* scales, const float* weight, const float* activation,
                  const double* hessian, const RoundRows& round, int rows, int cols) {
  const auto R = static_cast<std::size_t>(rows), C = static_cast<std::size_t>(cols);
  // your code: 21.awq_scales
  constexpr int kSteps = 20;
  std::fill_n(scales, C, 1.0f);
  const float largest = *std::max_element(activation, activation + C);
  if (largest == 0.0f) return 0.0;
  std::vector<float> s(C), tried(R * C);
  double best = INFINITY, best_alpha = 0.0;
  for (int step = 0; step <= kSteps; ++step) {
    const double alpha = static_cast<double>(step) / kSteps;
    for (std::size_t i = 0; i < C; ++i) {
      s[i] = static_cast<float>(std::pow(std::max(activation[i], largest * 1e-4f), alpha));
    }
    const auto [low, high] = std::minmax_element(s.begin(), s.end());
    const float middle = std::sqrt(*low * *high);
    for (float& of : s) of /= middle;
    for (std::size_t k = 0; k < R * C; ++k) tried[k] = weight[k] * s[k % C];
    round(tried.data(), rows, cols);
    for (std::size_t k = 0; k < R * C; ++k) tried[k] /= s[k % C];
    const double error = output_error(tried.data(), weight, hessian, rows, cols);
    if (error >= best) continue;
    best = error;
    best_alpha = alpha;
    std::copy(s.begin(), s.end(), scales);
  }
  return best_alpha;
  // end of your code
}

}  // namespace tinygpt::ref
