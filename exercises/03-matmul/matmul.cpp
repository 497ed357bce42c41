#include "exercises/03-matmul/matmul.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cstdint>

namespace tinygpt::mine {

// out[m, n] = sum_k a[m, k] * b[k, n]
//
// out [M, N]: written, with 0 where K is 0. a [M, K], b [K, N]: row by row in memory.
void matmul_naive(float* out, const float* a, const float* b, int M, int N, int K) {
  // your code: 03.matmul_naive
  throw NotImplemented("03.matmul_naive");
  // end of your code
}

// The same product, in an order that memory likes. Any order of the additions will do; the numbers
// of rows and columns need not be multiples of any tile.
void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  // your code: 03.matmul_tiled
  throw NotImplemented("03.matmul_tiled");
  // end of your code
}

// out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c]
//
// out [N, OC]: written. x [N, C], weight [OC, C], bias [OC] or nullptr. scratch is not needed here.
void linear_forward(float* out, const float* x, const float* weight, const float* bias,
                    float* /*scratch*/, int N, int C, int OC) {
  // your code: 03.linear_forward
  throw NotImplemented("03.linear_forward");
  // end of your code
}

std::int64_t linear_scratch_size(int /*N*/, int /*C*/, int /*OC*/) { return 0; }

}  // namespace tinygpt::mine
