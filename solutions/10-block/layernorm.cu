#include "solutions/10-block/block.cuh"

#include <algorithm>
#include <cstdint>

#include "solutions/columns.cuh"
#include "solutions/kernel.cuh"
#include "tinygpt/ops/layernorm.h"

namespace tinygpt::ref_cuda {
namespace {

constexpr int kRowsOfBlock = kThreads / kWarp;  // one warp for each

// Blocks that share the rows of 32 columns: 64 rows each, until there are 128 of them.
int row_blocks(int N) { return static_cast<int>(std::min<std::int64_t>(ceil_div(N, 64), 128)); }

}  // namespace

// mean[n]   = sum_c x[n, c] / C
// rstd[n]   = 1 / sqrt(sum_c (x[n, c] - mean[n])^2 / C + eps)
// out[n, c] = (x[n, c] - mean[n]) * rstd[n] * weight[c] + bias[c]
//
// One warp for each row, kRowsOfBlock rows for each block: lane i has values i, i + 32, ..., so
// that a warp reads 32 neighbours; mean and variance are sums over the warp. warp_sum(value) gives
// the sum of one value of each lane to all 32 lanes; all 32 must come to it. No barrier is needed:
// the warps of a block have nothing to do with each other.
//
// to_float reads any Real as float, store(to, value) writes it. bias may be nullptr.
template <class Real>
__global__ void layernorm_forward_kernel(Real* out, float* mean, float* rstd, const Real* x,
                                         const Real* weight, const Real* bias, int N, int C,
                                         float eps) {
  // your code on the device: 10.layernorm_forward_cuda
  const std::int64_t n = std::int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  if (n >= N) return;  // all lanes of a warp have the same n
  const int lane = threadIdx.x % kWarp;
  const Real* x_n = x + n * C;
  // Both sums start from the row's first value. Around a large mean, sums of x itself would have no
  // digits left for what the values differ by.
  const float origin = to_float(x_n[0]);
  float sum = 0.0f;
  for (int c = lane; c < C; c += kWarp) sum += to_float(x_n[c]) - origin;
  const float offset = warp_sum(sum) / C;  // of the mean from the first value
  float squares = 0.0f;
  for (int c = lane; c < C; c += kWarp) {
    const float centered = to_float(x_n[c]) - origin - offset;
    squares += centered * centered;
  }
  const float m = origin + offset;
  // eps inside the root: a constant row has variance 0 and must not divide by it.
  const float r = 1.0f / sqrtf(warp_sum(squares) / C + eps);
  for (int c = lane; c < C; c += kWarp) {
    const float xhat = (to_float(x_n[c]) - m) * r;
    store(out + n * C + c, xhat * to_float(weight[c]) + (bias != nullptr ? to_float(bias[c]) : 0));
  }
  if (lane == 0) mean[n] = m, rstd[n] = r;
  // end of your code
}

template <class Real>
void layernorm_forward(Real* out, float* mean, float* rstd, const Real* x, const Real* weight,
                       const Real* bias, int N, int C, float eps) {
  if (N == 0 || C == 0) return;
  // your code: 10.layernorm_forward_cuda
  const auto blocks = static_cast<unsigned>(ceil_div(N, kRowsOfBlock));
  layernorm_forward_kernel<<<blocks, kThreads>>>(out, mean, rstd, x, weight, bias, N, C, eps);
  // end of your code
  check_launch("layernorm_forward");
}

// Differentiates out[c] = xhat[c] * weight[c] + bias[c],  xhat = (x - mean(x)) * rstd(x).
// x[c] acts on out three ways: directly, through the mean, and through rstd. The mean shifts every
// xhat alike, so the average of g is taken out; rstd stretches xhat along itself, so the part of g
// along xhat is taken out.
//
// One warp for each row, as above.
template <class Real>
__global__ void layernorm_backward_kernel(Real* dx, const Real* dout, const Real* x,
                                          const Real* weight, const float* mean, const float* rstd,
                                          int N, int C) {
  const std::int64_t n = std::int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  if (n >= N) return;
  const int lane = threadIdx.x % kWarp;
  const std::int64_t row = n * C;
  const float m = mean[n], r = rstd[n];
  float sum_g = 0.0f, sum_g_xhat = 0.0f;
  for (int c = lane; c < C; c += kWarp) {
    const float xhat = (to_float(x[row + c]) - m) * r;
    const float g = to_float(dout[row + c]) * to_float(weight[c]);  // the gradient of xhat
    sum_g += g;
    sum_g_xhat += g * xhat;
  }
  const float along_mean = warp_sum(sum_g) / C, along_xhat = warp_sum(sum_g_xhat) / C;
  for (int c = lane; c < C; c += kWarp) {
    const float xhat = (to_float(x[row + c]) - m) * r;
    const float g = to_float(dout[row + c]) * to_float(weight[c]);
    add(dx + row + c, r * (g - along_mean - xhat * along_xhat));
  }
}

// The first stage of
//   dweight[c] += sum_n dout[n, c] * xhat[n, c],  dbias[c] += sum_n dout[n, c]
//
// Weight and bias serve every row. The sum over thousands of rows is cut into gridDim.y pieces:
// block (i, j) has columns 32 i, ..., 32 i + 31 and piece j of the rows. As in columns.cuh it is
// 32 x 8 threads: thread (x, y) adds up every (8 gridDim.y)-th row of column x, from row 8 j + y
// on, and column_sum makes one of the 8 sums of a column, for the thread with threadIdx.y = 0; all
// threads of the block must come to it. The block's sums go to row j of two tables:
//
// weight_sums, bias_sums [gridDim.y, C]  written
template <class Real>
__global__ void layernorm_partial_sums_kernel(float* weight_sums, float* bias_sums,
                                              const Real* dout, const Real* x, const float* mean,
                                              const float* rstd, int N, int C) {
  // your code on the device: 10.layernorm_gradients_cuda
  const int c = blockIdx.x * kWarp + threadIdx.x;
  float weight_sum = 0.0f, bias_sum = 0.0f;
  for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < N && c < C; n += gridDim.y * blockDim.y) {
    const std::int64_t at = std::int64_t{n} * C + c;
    const float d = to_float(dout[at]);
    weight_sum += d * (to_float(x[at]) - mean[n]) * rstd[n];
    bias_sum += d;
  }
  weight_sum = column_sum(weight_sum);
  bias_sum = column_sum(bias_sum);
  if (threadIdx.y > 0 || c >= C) return;
  const std::int64_t to = std::int64_t{blockIdx.y} * C + c;
  weight_sums[to] = weight_sum;
  bias_sums[to] = bias_sum;
  // end of your code
}

// The second stage: total[c] += sum_j sums[j, c], with sums [pieces, C].
//
// One thread for each column, in a grid of its own: every block of the first stage has ended before
// it begins, and the order of the additions is the same in every run.
__global__ void add_partial_sums_kernel(float* total, const float* sums, int pieces, int C) {
  // your code on the device: 10.layernorm_gradients_cuda
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= C) return;
  float sum = 0.0f;
  for (int j = 0; j < pieces; ++j) sum += sums[std::int64_t{j} * C + c];
  total[c] += sum;
  // end of your code
}

// scratch holds norm_scratch_size(N, C) floats: room for both tables of partial sums.
template <class Real>
void layernorm_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                        const Real* weight, const float* mean, const float* rstd, float* scratch,
                        int N, int C) {
  if (N == 0 || C == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(N, kRowsOfBlock));
  layernorm_backward_kernel<<<blocks, kThreads>>>(dx, dout, x, weight, mean, rstd, N, C);
  check_launch("layernorm_backward, dx");
  const int pieces = row_blocks(N);
  float *weight_sums = scratch, *bias_sums = scratch + std::int64_t{pieces} * C;
  // your code: 10.layernorm_gradients_cuda
  const dim3 grid(column_blocks(C), static_cast<unsigned>(pieces));
  layernorm_partial_sums_kernel<<<grid, kColumnBlock>>>(weight_sums, bias_sums, dout, x, mean, rstd,
                                                        N, C);
  const auto few_blocks = static_cast<unsigned>(ceil_div(C, kThreads));
  add_partial_sums_kernel<<<few_blocks, kThreads>>>(dweight, weight_sums, pieces, C);
  if (dbias != nullptr) {
    add_partial_sums_kernel<<<few_blocks, kThreads>>>(dbias, bias_sums, pieces, C);
  }
  // end of your code
  check_launch("layernorm_backward, dweight and dbias");
}

std::int64_t norm_scratch_size(int N, int C) { return std::int64_t{2} * row_blocks(N) * C; }

template LayernormForward<float> layernorm_forward<float>;
template LayernormForward<Bfloat16> layernorm_forward<Bfloat16>;
template LayernormBackward<float> layernorm_backward<float>;
template LayernormBackward<Bfloat16> layernorm_backward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
