#include <cmath>
#include <cstdint>

#include "exercises/10-block/block.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// out[n, h] = silu(gate) * up,  silu(z) = z * sigmoid(z),  gate = x[n, h],  up = x[n, H + h]
//
// out [N, H] is written. x [N, 2 H]: each row holds H gates, then H values ("up").
// sigmoid(z) = 1 / (1 + exp(-z)), which is right for any z, infinite exponentials included.
void swiglu_forward(float* out, const float* x, int N, int H) {
  // your code: 10.swiglu_forward
  throw NotImplemented("10.swiglu_forward");
  // end of your code
}

// Differentiates out = silu(gate) * up:
//   dx[n, h]     += dout[n, h] * up * silu'(gate)
//   dx[n, H + h] += dout[n, h] * silu(gate)
//
// dx [N, 2 H] accumulates. dout [N, H], x [N, 2 H].
void swiglu_backward(float* dx, const float* dout, const float* x, int N, int H) {
  // your code: 10.swiglu_backward
  throw NotImplemented("10.swiglu_backward");
  // end of your code
}

}  // namespace tinygpt::mine
