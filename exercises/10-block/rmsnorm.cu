#include "exercises/10-block/block.cuh"

#include <cstdint>

#include "exercises/columns.cuh"
#include "exercises/kernel.cuh"
#include "tinygpt/ops/rmsnorm.h"

namespace tinygpt::mine_cuda {

// out[n, c] = x[n, c] * rstd[n] * weight[c],  rstd = 1 / sqrt(mean_c(x^2) + eps)
//
// One block for each row: thread i has values i, i + 256, ..., so that a warp reads 32 neighbours.
template <class Real>
__global__ void rmsnorm_forward_kernel(Real* out, float* rstd, const Real* x, const Real* weight,
                                       int C, float eps) {
  const std::int64_t n = blockIdx.x, row = n * C;
  float squares = 0.0f;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    squares += to_float(x[row + c]) * to_float(x[row + c]);
  }
  const float r = 1.0f / sqrtf(block_sum(squares) / C + eps);
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    store(out + row + c, to_float(x[row + c]) * r * to_float(weight[c]));
  }
  if (threadIdx.x == 0) rstd[n] = r;
}

template <class Real>
void rmsnorm_forward(Real* out, float* rstd, const Real* x, const Real* weight, int N, int C,
                     float eps) {
  if (N == 0 || C == 0) return;
  rmsnorm_forward_kernel<<<N, kThreads>>>(out, rstd, x, weight, C, eps);
  check_launch("rmsnorm_forward");
}

// Differentiates out[c] = x[c] * rstd(x) * weight[c]. There is no mean to go through, so only the
// direct part and the part along x remain: d rstd / d x[c] = -rstd^3 * x[c] / C.
//
// One block for each row, as above.
template <class Real>
__global__ void rmsnorm_backward_kernel(Real* dx, const Real* dout, const Real* x,
                                        const Real* weight, const float* rstd, int C) {
  const std::int64_t n = blockIdx.x, row = n * C;
  const float r = rstd[n];
  float sum_g_xhat = 0.0f;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    const float g = to_float(dout[row + c]) * to_float(weight[c]);
    sum_g_xhat += g * (to_float(x[row + c]) * r);
  }
  const float along_xhat = block_sum(sum_g_xhat) / C;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    const float g = to_float(dout[row + c]) * to_float(weight[c]);
    add(dx + row + c, r * (g - to_float(x[row + c]) * r * along_xhat));
  }
}

// dweight[c] += sum_n dout[n, c] * x[n, c] * rstd[n]
//
// One block adds up 32 columns (columns.cuh).
template <class Real>
__global__ void rmsnorm_weight_backward_kernel(float* dweight, const Real* dout, const Real* x,
                                               const float* rstd, int N, int C) {
  const int c = blockIdx.x * kWarp + threadIdx.x;
  float sum = 0.0f;
  for (int n = threadIdx.y; n < N && c < C; n += blockDim.y) {
    const std::int64_t at = std::int64_t{n} * C + c;
    sum += to_float(dout[at]) * to_float(x[at]) * rstd[n];
  }
  sum = column_sum(sum);
  if (threadIdx.y == 0 && c < C) dweight[c] += sum;
}

template <class Real>
void rmsnorm_backward(Real* dx, float* dweight, const Real* dout, const Real* x, const Real* weight,
                      const float* rstd, float* /*scratch*/, int N, int C) {
  if (N == 0 || C == 0) return;
  rmsnorm_backward_kernel<<<N, kThreads>>>(dx, dout, x, weight, rstd, C);
  check_launch("rmsnorm_backward, dx");
  rmsnorm_weight_backward_kernel<<<column_blocks(C), kColumnBlock>>>(dweight, dout, x, rstd, N, C);
  check_launch("rmsnorm_backward, dweight");
}

template RmsnormForward<float> rmsnorm_forward<float>;
template RmsnormForward<Bfloat16> rmsnorm_forward<Bfloat16>;
template RmsnormBackward<float> rmsnorm_backward<float>;
template RmsnormBackward<Bfloat16> rmsnorm_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
