#include "tinygpt/cuda/linear.cuh"

#include <algorithm>
#include <cstdint>

#include "solutions/05-backprop/backprop.cuh"
#include "tinygpt/cuda/product.cuh"
#include "tinygpt/ops/fused.h"
#include "tinygpt/ops/linear.h"

namespace tinygpt::cuda {

template <class Real>
void linear_forward(Real* out, const Real* x, const Real* weight, const Real* bias, float* scratch,
                    int N, int C, int OC) {
  product<Inner::k, Inner::k>(Operand<Real>{x, N, C}, Operand<Real>{weight, OC, C},
                              Write<Real>{out, bias}, scratch, "linear_forward");
}

template <class Real>
void linear_gelu_forward(Real* out, Real* pre, const Real* x, const Real* weight, const Real* bias,
                         float* scratch, int N, int C, int OC) {
  product<Inner::k, Inner::k>(Operand<Real>{x, N, C}, Operand<Real>{weight, OC, C},
                              WriteGelu<Real>{out, pre, bias}, scratch, "linear_gelu_forward");
}

// dX += dY W sums over OC, which is innermost in dY and outermost in W; dW += dY^T X over N, which
// is outermost in both. Nothing is transposed in memory: the tiles are read accordingly.
template <class Real>
void linear_backward(Real* dx, float* dweight, float* dbias, const Real* dout, const Real* x,
                     const Real* weight, float* scratch, int N, int C, int OC) {
  if (dx != nullptr) {
    product<Inner::k, Inner::row>(Operand<Real>{dout, N, OC}, Operand<Real>{weight, C, OC},
                                  Accumulate<Real>{dx}, scratch, "linear_backward, dx");
  }
  if (dweight != nullptr) {
    product<Inner::row, Inner::row>(Operand<Real>{dout, OC, N}, Operand<Real>{x, C, N},
                                    Accumulate<float>{dweight}, scratch,
                                    "linear_backward, dweight");
  }
  ref_cuda::linear_backward<Real>(nullptr, nullptr, dbias, dout, x, weight, scratch, N, C, OC);
}

std::int64_t linear_scratch_size(int N, int C, int OC) {
  return std::max(
      {product_scratch(N, OC, C), product_scratch(N, C, OC), product_scratch(OC, C, N)});
}

template LinearForward<float> linear_forward<float>;
template LinearForward<Bfloat16> linear_forward<Bfloat16>;
template LinearGeluForward<float> linear_gelu_forward<float>;
template LinearGeluForward<Bfloat16> linear_gelu_forward<Bfloat16>;
template LinearBackward<float> linear_backward<float>;
template LinearBackward<Bfloat16> linear_backward<Bfloat16>;

}  // namespace tinygpt::cuda
