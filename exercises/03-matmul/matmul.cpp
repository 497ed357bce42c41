#include "exercises/03-matmul/matmul.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cstdint>

namespace tinygpt::mine {

// The definition, read out loud: each output is a row of a times a column of b. The walk down the
// column is what makes it slow, since neighbours in a column lie N floats apart in memory.
void matmul_naive(float* out, const float* a, const float* b, int M, int N, int K) {
  // your code: 03.matmul_naive
  throw NotImplemented("03.matmul_naive");
  // end of your code
}

// Two changes. The innermost loop runs along rows of b and out, so that memory is read in order.
// And the loops over n and k are cut into tiles: a tile of b (64 x 64 floats, 16 KiB) is used for
// every row of a while it is in the fastest cache.
void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  // your code: 03.matmul_tiled
  throw NotImplemented("03.matmul_tiled");
  // end of your code
}

// out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c]
//
// The weight is stored [OC, C]: both factors of the inner loop are rows, read in order.
void linear_forward(float* out, const float* x, const float* weight, const float* bias,
                    float* /*scratch*/, int N, int C, int OC) {
  // your code: 03.linear_forward
  throw NotImplemented("03.linear_forward");
  // end of your code
}

std::int64_t linear_scratch_size(int /*N*/, int /*C*/, int /*OC*/) { return 0; }

}  // namespace tinygpt::mine
