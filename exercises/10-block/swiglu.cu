#include "exercises/10-block/block.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/swiglu.h"

namespace tinygpt::mine_cuda {

// out[n, h] = silu(gate) * up,  silu(z) = z * sigmoid(z),  gate = x[n, h],  up = x[n, H + h]
//
// One thread for each output, in a grid-stride loop. Neighbouring threads have neighbouring h: a
// warp reads one piece of the gates and one of the values.
template <class Real>
__global__ void swiglu_forward_kernel(Real* out, const Real* x, std::int64_t n, int H) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const std::int64_t gate_at = i / H * 2 * H + i % H;
    const float gate = to_float(x[gate_at]), up = to_float(x[gate_at + H]);
    const float sigmoid = 1.0f / (1.0f + expf(-gate));
    store(out + i, gate * sigmoid * up);
  }
}

template <class Real>
void swiglu_forward(Real* out, const Real* x, int N, int H) {
  const std::int64_t n = std::int64_t{N} * H;
  if (n == 0) return;
  swiglu_forward_kernel<<<blocks_for(n), kThreads>>>(out, x, n, H);
  check_launch("swiglu_forward");
}

// Differentiates out = silu(gate) * up. With s = sigmoid(z), s' = s * (1 - s), so
// silu'(z) = s + z * s * (1 - s) = s * (1 + z * (1 - s)).
//
// One thread for each output, as above: it writes both gradients.
template <class Real>
__global__ void swiglu_backward_kernel(Real* dx, const Real* dout, const Real* x, std::int64_t n,
                                       int H) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const std::int64_t gate_at = i / H * 2 * H + i % H;
    const float d = to_float(dout[i]);
    const float gate = to_float(x[gate_at]), up = to_float(x[gate_at + H]);
    const float sigmoid = 1.0f / (1.0f + expf(-gate));
    add(dx + gate_at, d * up * sigmoid * (1.0f + gate * (1.0f - sigmoid)));
    add(dx + gate_at + H, d * gate * sigmoid);
  }
}

template <class Real>
void swiglu_backward(Real* dx, const Real* dout, const Real* x, int N, int H) {
  const std::int64_t n = std::int64_t{N} * H;
  if (n == 0) return;
  swiglu_backward_kernel<<<blocks_for(n), kThreads>>>(dx, dout, x, n, H);
  check_launch("swiglu_backward");
}

template SwigluForward<float> swiglu_forward<float>;
template SwigluForward<Bfloat16> swiglu_forward<Bfloat16>;
template SwigluBackward<float> swiglu_backward<float>;
template SwigluBackward<Bfloat16> swiglu_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
