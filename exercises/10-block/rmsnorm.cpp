#include <cmath>
#include <cstdint>

#include "exercises/10-block/block.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// rstd[n]   = 1 / sqrt(sum_c x[n, c]^2 / C + eps)
// out[n, c] = x[n, c] * rstd[n] * weight[c]
//
// out [N, C] and rstd [N] are written; rstd is kept for the backward pass. x [N, C], weight [C].
void rmsnorm_forward(float* out, float* rstd, const float* x, const float* weight, int N, int C,
                     float eps) {
  // your code: 10.rmsnorm_forward
  throw NotImplemented("10.rmsnorm_forward");
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
  throw NotImplemented("10.rmsnorm_backward");
  // end of your code
}

}  // namespace tinygpt::mine
