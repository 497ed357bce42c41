#include "exercises/03-matmul/tiles.cuh"

#include <cstdint>

#include "exercises/05-backprop/backprop.cuh"
#include "exercises/columns.cuh"
#include "tinygpt/ops/linear.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {

// Differentiates out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c] by the bias:
//   dbias[o] += sum_n dout[n, o]
//
// One block adds up 32 columns of dout (columns.cuh): kColumnBlock is 32 x 8 threads, and
// column_sum adds what the 8 threads of a column have.
template <class Real>
__global__ void bias_backward_kernel(float* dbias, const Real* dout, int N, int OC) {
  // your code on the device: 05.bias_gradient_cuda
  // end of your code
}

// And by its factors: each gradient is a product of matrices again, dX += dY W and dW += dY^T X.
//
// matmul_tiles<A, B>(out, a, b, M, N, K, finish, name): out [M, N] from a [M, K] and b [K, N].
// A matrix that lies in memory row by row is Layout::rows. One that you have only transposed, so
// that its columns lie in a row of memory each, is Layout::columns.
template <class Real>
void linear_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                     const Real* weight, float* /*scratch*/, int N, int C, int OC) {
  if (dx != nullptr) {
    matmul_tiles<Layout::rows, Layout::rows>(dx, dout, weight, N, C, OC, Accumulate{},
                                             "linear_backward, dx");
  }
  if (dweight != nullptr) {
    // your code: 05.weight_gradient_cuda
    throw NotImplemented("05.weight_gradient_cuda");
    // end of your code
  }
  if (dbias != nullptr && OC > 0) {
    // your code: 05.bias_gradient_cuda
    throw NotImplemented("05.bias_gradient_cuda");
    // end of your code
    check_launch("linear_backward, dbias");
  }
}

template LinearBackward<float> linear_backward<float>;
template LinearBackward<Bfloat16> linear_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
