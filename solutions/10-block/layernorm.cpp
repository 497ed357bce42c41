#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"

namespace tinygpt::ref {

// mean[n]   = sum_c x[n, c] / C
// var[n]    = sum_c (x[n, c] - mean[n])^2 / C
// rstd[n]   = 1 / sqrt(var[n] + eps)
// out[n, c] = (x[n, c] - mean[n]) * rstd[n] * weight[c] + bias[c]
//
// out [N, C], mean [N] and rstd [N] are written; mean and rstd are kept for the backward pass.
// x [N, C], weight [C], bias [C]. bias may be nullptr: then nothing is added.
void layernorm_forward(float* out, float* mean, float* rstd, const float* x, const float* weight,
                       const float* bias, int N, int C, float eps) {
  // your code: 10.layernorm_forward
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * C;
    float* out_n = out + std::int64_t{n} * C;
    double sum = 0.0;
    for (int c = 0; c < C; ++c) sum += x_n[c];
    const double m = sum / C;
    // Two passes. The shortcut mean(x^2) - mean(x)^2 subtracts two large, nearly equal numbers when
    // the mean is large, and loses every digit of the variance.
    double squares = 0.0;
    for (int c = 0; c < C; ++c) squares += (x_n[c] - m) * (x_n[c] - m);
    // eps inside the root: a constant row has variance 0 and must not divide by it.
    mean[n] = static_cast<float>(m);
    rstd[n] = static_cast<float>(1.0 / std::sqrt(squares / C + eps));
    for (int c = 0; c < C; ++c) {
      out_n[c] = (x_n[c] - mean[n]) * rstd[n] * weight[c] + (bias != nullptr ? bias[c] : 0.0f);
    }
  }
  // end of your code
}

// Differentiates out[c] = xhat[c] * weight[c] + bias[c],  xhat = (x - mean(x)) * rstd(x).
// x[c] acts on out three ways: directly, through the mean, and through rstd. The mean shifts every
// xhat alike, so the average of g is taken out; rstd stretches xhat along itself, so the part of g
// along xhat is taken out. With g[c] = dout[c] * weight[c] and averages over the row:
//
//   dx[n, c]   += rstd[n] * (g[c] - average(g) - xhat[c] * average(g * xhat))
//   dweight[c] += sum_n dout[n, c] * xhat[n, c]
//   dbias[c]   += sum_n dout[n, c]
//
// dx [N, C], dweight [C] and dbias [C] accumulate; dbias may be nullptr. dout [N, C], x [N, C],
// weight [C]; mean [N] and rstd [N] as the forward pass left them.
void layernorm_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                        const float* weight, const float* mean, const float* rstd,
                        float* /*scratch*/, int N, int C) {
  // your code: 10.layernorm_backward
  for (int n = 0; n < N; ++n) {
    const std::int64_t row = std::int64_t{n} * C;
    double mean_g = 0.0, mean_g_xhat = 0.0;
    for (int c = 0; c < C; ++c) {
      const float xhat = (x[row + c] - mean[n]) * rstd[n];
      const float g = dout[row + c] * weight[c];  // the gradient of xhat
      mean_g += g;
      mean_g_xhat += double{g} * xhat;
    }
    const float along_mean = static_cast<float>(mean_g / C);
    const float along_xhat = static_cast<float>(mean_g_xhat / C);
    for (int c = 0; c < C; ++c) {
      const float xhat = (x[row + c] - mean[n]) * rstd[n];
      const float g = dout[row + c] * weight[c];
      dx[row + c] += rstd[n] * (g - along_mean - xhat * along_xhat);
      dweight[c] += dout[row + c] * xhat;  // weight and bias serve every row: their sums run over n
      if (dbias != nullptr) dbias[c] += dout[row + c];
    }
  }
  // end of your code
}

std::int64_t norm_scratch_size(int /*N*/, int /*C*/) { return 0; }

}  // namespace tinygpt::ref
