#include "solutions/03-matmul/matmul.h"

#include <algorithm>
#include <cstdint>

namespace tinygpt::ref {

// out[m, n] = sum_k a[m, k] * b[k, n]
//
// out [M, N]: written, with 0 where K is 0. a [M, K], b [K, N]: row by row in memory.
void matmul_naive(float* out, const float* a, const float* b, int M, int N, int K) {
  // your code: 03.matmul_naive
  // The definition, read out loud: each output is a row of a times a column of b. The walk down the
  // column is what makes it slow, since neighbours in a column lie N floats apart in memory.
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) {
      float sum = 0.0f;
      for (int k = 0; k < K; ++k) sum += a[std::int64_t{m} * K + k] * b[std::int64_t{k} * N + n];
      out[std::int64_t{m} * N + n] = sum;
    }
  }
  // end of your code
}

// The same product, in an order that memory likes. Any order of the additions will do; the numbers
// of rows and columns need not be multiples of any tile.
void matmul_tiled(float* out, const float* a, const float* b, int M, int N, int K) {
  // your code: 03.matmul_tiled
  // Two changes. The innermost loop runs along rows of b and out, so that memory is read in order.
  // And the loops over n and k are cut into tiles: a tile of b (64 x 64 floats, 16 KiB) is used for
  // every row of a while it is in the fastest cache.
  constexpr int kTile = 64;
  std::fill_n(out, std::int64_t{M} * N, 0.0f);
  for (int k0 = 0; k0 < K; k0 += kTile) {
    for (int n0 = 0; n0 < N; n0 += kTile) {
      const int k1 = std::min(k0 + kTile, K);  // the last tile may be narrower
      const int n1 = std::min(n0 + kTile, N);
      for (int m = 0; m < M; ++m) {
        float* out_m = out + std::int64_t{m} * N;
        for (int k = k0; k < k1; ++k) {
          const float a_mk = a[std::int64_t{m} * K + k];
          const float* b_k = b + std::int64_t{k} * N;
          for (int n = n0; n < n1; ++n) out_m[n] += a_mk * b_k[n];
        }
      }
    }
  }
  // end of your code
}

// out[n, o] = bias[o] + sum_c x[n, c] * weight[o, c]
//
// out [N, OC]: written. x [N, C], weight [OC, C], bias [OC] or nullptr. scratch is not needed here.
void linear_forward(float* out, const float* x, const float* weight, const float* bias,
                    float* /*scratch*/, int N, int C, int OC) {
  // your code: 03.linear_forward
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * C;
    for (int o = 0; o < OC; ++o) {
      const float* weight_o = weight + std::int64_t{o} * C;
      float sum = bias != nullptr ? bias[o] : 0.0f;  // once for each output, not once for each term
      for (int c = 0; c < C; ++c) sum += x_n[c] * weight_o[c];
      out[std::int64_t{n} * OC + o] = sum;
    }
  }
  // end of your code
}

std::int64_t linear_scratch_size(int /*N*/, int /*C*/, int /*OC*/) { return 0; }

}  // namespace tinygpt::ref
