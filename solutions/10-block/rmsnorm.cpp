#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"

namespace tinygpt::ref {

// out[n, c] = x[n, c] * rstd[n] * weight[c],  rstd = 1 / sqrt(mean_c(x^2) + eps)
void rmsnorm_forward(float* out, float* rstd, const float* x, const float* weight, int N, int C,
                     float eps) {
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * C;
    float* out_n = out + std::int64_t{n} * C;
    double squares = 0.0;
    for (int c = 0; c < C; ++c) squares += double{x_n[c]} * x_n[c];
    rstd[n] = static_cast<float>(1.0 / std::sqrt(squares / C + eps));
    for (int c = 0; c < C; ++c) out_n[c] = x_n[c] * rstd[n] * weight[c];
  }
}

// Differentiates out[c] = x[c] * rstd(x) * weight[c]. There is no mean to go through, so only the
// direct part and the part along x remain: d rstd / d x[c] = -rstd^3 * x[c] / C.
void rmsnorm_backward(float* dx, float* dweight, const float* dout, const float* x,
                      const float* weight, const float* rstd, float* /*scratch*/, int N, int C) {
  for (int n = 0; n < N; ++n) {
    const std::int64_t row = std::int64_t{n} * C;
    double mean_g_xhat = 0.0;
    for (int c = 0; c < C; ++c) {
      mean_g_xhat += double{dout[row + c] * weight[c]} * (x[row + c] * rstd[n]);
    }
    const float along_xhat = static_cast<float>(mean_g_xhat / C);
    for (int c = 0; c < C; ++c) {
      const float xhat = x[row + c] * rstd[n];
      dx[row + c] += rstd[n] * (dout[row + c] * weight[c] - xhat * along_xhat);
      dweight[c] += dout[row + c] * xhat;
    }
  }
}

}  // namespace tinygpt::ref
