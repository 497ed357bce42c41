#include "solutions/10-block/block.cuh"

#include <cstdint>

#include "solutions/columns.cuh"
#include "solutions/kernel.cuh"
#include "tinygpt/ops/layernorm.h"

namespace tinygpt::ref_cuda {

// out[n, c] = (x[n, c] - mean[n]) * rstd[n] * weight[c] + bias[c],  rstd = 1 / sqrt(var + eps)
//
// One block for each row: thread i has values i, i + 256, ..., so that a warp reads 32 neighbours;
// mean and variance are sums over the block.
template <class Real>
__global__ void layernorm_forward_kernel(Real* out, float* mean, float* rstd, const Real* x,
                                         const Real* weight, const Real* bias, int C, float eps) {
  const std::int64_t n = blockIdx.x;
  const Real* x_n = x + n * C;
  // Both sums start from the row's first value. Around a large mean, sums of x itself would have no
  // digits left for what the values differ by.
  const float origin = to_float(x_n[0]);
  float sum = 0.0f;
  for (int c = threadIdx.x; c < C; c += blockDim.x) sum += to_float(x_n[c]) - origin;
  const float offset = block_sum(sum) / C;  // of the mean from the first value
  float squares = 0.0f;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    const float centered = to_float(x_n[c]) - origin - offset;
    squares += centered * centered;
  }
  const float m = origin + offset;
  // eps inside the root: a constant row has variance 0 and must not divide by it.
  const float r = 1.0f / sqrtf(block_sum(squares) / C + eps);
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    const float xhat = (to_float(x_n[c]) - m) * r;
    store(out + n * C + c, xhat * to_float(weight[c]) + (bias != nullptr ? to_float(bias[c]) : 0));
  }
  if (threadIdx.x == 0) mean[n] = m, rstd[n] = r;
}

template <class Real>
void layernorm_forward(Real* out, float* mean, float* rstd, const Real* x, const Real* weight,
                       const Real* bias, int N, int C, float eps) {
  if (N == 0 || C == 0) return;
  layernorm_forward_kernel<<<N, kThreads>>>(out, mean, rstd, x, weight, bias, C, eps);
  check_launch("layernorm_forward");
}

// Differentiates out[c] = xhat[c] * weight[c] + bias[c],  xhat = (x - mean(x)) * rstd(x).
// x[c] acts on out three ways: directly, through the mean, and through rstd. The mean shifts every
// xhat alike, so the average of g is taken out; rstd stretches xhat along itself, so the part of g
// along xhat is taken out.
//
// One block for each row, as above.
template <class Real>
__global__ void layernorm_backward_kernel(Real* dx, const Real* dout, const Real* x,
                                          const Real* weight, const float* mean, const float* rstd,
                                          int C) {
  const std::int64_t n = blockIdx.x, row = n * C;
  const float m = mean[n], r = rstd[n];
  float sum_g = 0.0f, sum_g_xhat = 0.0f;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    const float xhat = (to_float(x[row + c]) - m) * r;
    const float g = to_float(dout[row + c]) * to_float(weight[c]);  // the gradient of xhat
    sum_g += g;
    sum_g_xhat += g * xhat;
  }
  const float along_mean = block_sum(sum_g) / C, along_xhat = block_sum(sum_g_xhat) / C;
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    const float xhat = (to_float(x[row + c]) - m) * r;
    const float g = to_float(dout[row + c]) * to_float(weight[c]);
    add(dx + row + c, r * (g - along_mean - xhat * along_xhat));
  }
}

// dweight[c] += sum_n dout[n, c] * xhat[n, c],  dbias[c] += sum_n dout[n, c]
//
// Weight and bias serve every row: one block adds up 32 columns (columns.cuh).
template <class Real>
__global__ void layernorm_weight_backward_kernel(float* dweight, float* dbias, const Real* dout,
                                                 const Real* x, const float* mean,
                                                 const float* rstd, int N, int C) {
  const int c = blockIdx.x * kWarp + threadIdx.x;
  float weight_sum = 0.0f, bias_sum = 0.0f;
  for (int n = threadIdx.y; n < N && c < C; n += blockDim.y) {
    const std::int64_t at = std::int64_t{n} * C + c;
    const float d = to_float(dout[at]);
    weight_sum += d * (to_float(x[at]) - mean[n]) * rstd[n];
    bias_sum += d;
  }
  weight_sum = column_sum(weight_sum);
  bias_sum = column_sum(bias_sum);
  if (threadIdx.y > 0 || c >= C) return;
  dweight[c] += weight_sum;
  if (dbias != nullptr) dbias[c] += bias_sum;
}

template <class Real>
void layernorm_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                        const Real* weight, const float* mean, const float* rstd,
                        float* /*scratch*/, int N, int C) {
  if (N == 0 || C == 0) return;
  layernorm_backward_kernel<<<N, kThreads>>>(dx, dout, x, weight, mean, rstd, C);
  check_launch("layernorm_backward, dx");
  layernorm_weight_backward_kernel<<<column_blocks(C), kColumnBlock>>>(dweight, dbias, dout, x,
                                                                       mean, rstd, N, C);
  check_launch("layernorm_backward, dweight and dbias");
}

std::int64_t norm_scratch_size(int /*N*/, int /*C*/) { return 0; }

template LayernormForward<float> layernorm_forward<float>;
template LayernormForward<Bfloat16> layernorm_forward<Bfloat16>;
template LayernormBackward<float> layernorm_backward<float>;
template LayernormBackward<Bfloat16> layernorm_backward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
