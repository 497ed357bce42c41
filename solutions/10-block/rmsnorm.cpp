#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"

namespace tinygpt::ref {

// rstd[n]   = 1 / sqrt(sum_c x[n, c]^2 / C + eps)
// out[n, c] = x[n, c] * rstd[n] * weight[c]
//
// out [N, C] and rstd [N] are written; rstd is kept for the backward pass. x [N, C], weight [C].
void rmsnorm_forward(float* out, float* rstd, const float* x, const float* weight, int N, int C,
                     float eps) {
  // your code: 10.rmsnorm_forward
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * C;
    float* out_n = out + std::int64_t{n} * C;
    double squares = 0.0;
    for (int c = 0; c < C; ++c) squares += double{x_n[c]} * x_n[c];
    rstd[n] = static_cast<float>(1.0 / std::sqrt(squares / C + eps));
    for (int c = 0; c < C; ++c) out_n[c] = x_n[c] * rstd[n] * weight[c];
  }
  // end of your code
}

// Differentiates out[c] = xhat[c] * weight[c],  xhat = x * rstd(x). There is no mean to go through,
// so only the direct part and the part along xhat remain: d rstd / d x[c] = -rstd^3 * x[c] / C.
// With g[c] = dout[c] * weight[c] and averages over the row:
//
//   dx[n, c]   += rstd[n] * (g[c] - xhat[c] * average(g * xhat))
//   dweight[c] += sum_n dout[n, c] * xhat[n, c]
//
// dx [N, C] and dweight [C] accumulate. dout [N, C], x [N, C], weight [C]; rstd [N] as the forward
// pass left it.
void rmsnorm_backward(float* dx, float* dweight, const float* dout, const float* x,
                      const float* weight, const float* rstd, float* /*scratch*/, int N, int C) {
  // your code: 10.rmsnorm_backward
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
  // end of your code
}

}  // namespace tinygpt::ref
