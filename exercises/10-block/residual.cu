#include "exercises/10-block/block.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/residual.h"

namespace tinygpt::mine_cuda {

// out[i] = a[i] + b[i]
//
// A grid-stride loop, one thread for each value.
template <class Real>
__global__ void residual_forward_kernel(Real* out, const Real* a, const Real* b, std::int64_t n) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    store(out + i, to_float(a[i]) + to_float(b[i]));
  }
}

template <class Real>
void residual_forward(Real* out, const Real* a, const Real* b, std::int64_t n) {
  if (n == 0) return;
  residual_forward_kernel<<<blocks_for(n), kThreads>>>(out, a, b, n);
  check_launch("residual_forward");
}

// Differentiates out[i] = a[i] + b[i]: a sum passes its gradient to both sides unchanged. This is
// why a deep model trains: one of the two ways back has no layer on it.
//
// A grid-stride loop, one thread for each value.
template <class Real>
__global__ void residual_backward_kernel(Real* da, Real* db, const Real* dout, std::int64_t n) {
  const bool shared = da == dout;  // one buffer for the stream: da holds the gradient already
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const float d = to_float(dout[i]);
    if (!shared) add(da + i, d);
    add(db + i, d);
  }
}

template <class Real>
void residual_backward(Real* da, Real* db, const Real* dout, std::int64_t n) {
  if (n == 0) return;
  residual_backward_kernel<<<blocks_for(n), kThreads>>>(da, db, dout, n);
  check_launch("residual_backward");
}

template ResidualForward<float> residual_forward<float>;
template ResidualForward<Bfloat16> residual_forward<Bfloat16>;
template ResidualBackward<float> residual_backward<float>;
template ResidualBackward<Bfloat16> residual_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
