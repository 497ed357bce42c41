#include "exercises/05-backprop/backprop.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <cstdint>

namespace tinygpt::mine {

// Differentiates out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c].
//
// dx [N, C], dweight [OC, C], dbias [OC]: accumulate; each may be nullptr where it is not needed.
// dout [N, OC], x [N, C], weight [OC, C].
void linear_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                     const float* weight, float* /*scratch*/, int N, int C, int OC) {
  // your code: 05.linear_backward
  throw NotImplemented("05.linear_backward");
  // end of your code
}

}  // namespace tinygpt::mine
