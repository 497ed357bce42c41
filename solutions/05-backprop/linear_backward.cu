#include "solutions/03-matmul/tiles.cuh"

#include <cstdint>

#include "solutions/05-backprop/backprop.cuh"
#include "solutions/columns.cuh"
#include "tinygpt/ops/linear.h"

namespace tinygpt::ref_cuda {

// Differentiates out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c] by the bias:
//   dbias[o] += sum_n dout[n, o]
//
// One block adds up 32 columns of dout (columns.cuh).
template <class Real>
__global__ void bias_backward_kernel(float* dbias, const Real* dout, int N, int OC) {
  const int o = blockIdx.x * kWarp + threadIdx.x;
  float sum = 0.0f;
  if (o < OC) {
    for (int n = threadIdx.y; n < N; n += blockDim.y)
      sum += to_float(dout[std::int64_t{n} * OC + o]);
  }
  sum = column_sum(sum);
  if (threadIdx.y == 0 && o < OC) dbias[o] += sum;
}

// And by its factors: each gradient is a product of matrices again, dX += dY W and dW += dY^T X.
// dY^T lies in memory column by column, as dY.
template <class Real>
void linear_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                     const Real* weight, float* /*scratch*/, int N, int C, int OC) {
  if (dx != nullptr) {
    matmul_tiles<Layout::rows, Layout::rows>(dx, dout, weight, N, C, OC, Accumulate{},
                                             "linear_backward, dx");
  }
  if (dweight != nullptr) {
    matmul_tiles<Layout::columns, Layout::rows>(dweight, dout, x, OC, C, N, Accumulate{},
                                                "linear_backward, dweight");
  }
  if (dbias != nullptr && OC > 0) {
    bias_backward_kernel<<<column_blocks(OC), kColumnBlock>>>(dbias, dout, N, OC);
    check_launch("linear_backward, dbias");
  }
}

template LinearBackward<float> linear_backward<float>;
template LinearBackward<__nv_bfloat16> linear_backward<__nv_bfloat16>;

}  // namespace tinygpt::ref_cuda
