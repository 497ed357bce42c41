#include "solutions/05-backprop/backprop.cuh"

#include <cstdint>

#include "solutions/kernel.cuh"
#include "tinygpt/ops/gelu.h"

namespace tinygpt::ref_cuda {
namespace {

constexpr float kSqrt2OverPi = 0.7978845608028654f;
constexpr float kCubic = 0.044715f;

}  // namespace

// out[i] = 0.5 * x[i] * (1 + tanh(u)),  u = sqrt(2 / pi) * (x + 0.044715 x^3)
//
// A grid-stride loop, one thread for each value.
template <class Real>
__global__ void gelu_forward_kernel(Real* out, const Real* x, std::int64_t n) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const float z = to_float(x[i]);
    const float u = kSqrt2OverPi * (z + kCubic * z * z * z);
    store(out + i, 0.5f * z * (1.0f + tanhf(u)));
  }
}

template <class Real>
void gelu_forward(Real* out, const Real* x, std::int64_t n) {
  if (n == 0) return;
  gelu_forward_kernel<<<blocks_for(n), kThreads>>>(out, x, n);
  check_launch("gelu_forward");
}

// Differentiates out = 0.5 * x * (1 + tanh(u(x))) by the product rule: x itself, and x inside u.
//
// A grid-stride loop, one thread for each value.
template <class Real>
__global__ void gelu_backward_kernel(Real* dx, const Real* dout, const Real* x, std::int64_t n) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const float z = to_float(x[i]);
    const float t = tanhf(kSqrt2OverPi * (z + kCubic * z * z * z));
    const float du = kSqrt2OverPi * (1.0f + 3.0f * kCubic * z * z);
    // 1 - t^2 is the derivative of tanh. For a large |x| it is 0, but x^2 in du may be infinite.
    const float slope = 1.0f - t * t;
    const float inner = slope == 0.0f ? 0.0f : 0.5f * z * slope * du;
    add(dx + i, to_float(dout[i]) * (0.5f * (1.0f + t) + inner));
  }
}

template <class Real>
void gelu_backward(Real* dx, const Real* dout, const Real* x, std::int64_t n) {
  if (n == 0) return;
  gelu_backward_kernel<<<blocks_for(n), kThreads>>>(dx, dout, x, n);
  check_launch("gelu_backward");
}

template GeluForward<float> gelu_forward<float>;
template GeluForward<Bfloat16> gelu_forward<Bfloat16>;
template GeluBackward<float> gelu_backward<float>;
template GeluBackward<Bfloat16> gelu_backward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
