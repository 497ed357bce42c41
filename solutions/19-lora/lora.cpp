#include "solutions/19-lora/lora.h"

#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

namespace tinygpt::ref {

// a[i] = (2 * u(i) - 1) / sqrt(C),  b[i] = 0
//
// a [rank, C] and b [OC, rank] are written, in the order of memory. u(i) is what call i of
// uniform() gives for one Random{seed, 0, stream}, from 0 to 1: so no value of a is farther from 0
// than 1 / sqrt(C), as PEFT has it.
void lora_init(float* a, float* b, int C, int OC, int rank, std::uint64_t seed,
               std::uint64_t stream) {
  // your code: 19.lora_init
  Random random{seed, 0, stream};
  const double bound = 1 / std::sqrt(static_cast<double>(C));
  for (std::int64_t i = 0; i < std::int64_t{rank} * C; ++i) {
    a[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  }
  // B A is zero, and so the model starts as it is; b's own gradient is not, since a is random.
  for (std::int64_t i = 0; i < std::int64_t{OC} * rank; ++i) b[i] = 0.0f;
  // end of your code
}

// ax[n, r]   = sum_c x[n, c] * a[r, c]
// out[n, o] += scale * sum_r ax[n, r] * b[o, r]
//
// out [N, OC] accumulates: it holds what the frozen layer computed. Its rows are `stride` values
// apart, so row n begins at out + n * stride. ax [N, rank] is written. x [N, C], a [rank, C],
// b [OC, rank]. scale is alpha / rank already.
void lora_forward(float* out, float* ax, const float* x, const float* a, const float* b,
                  float* /*scratch*/, int N, int C, int OC, int stride, int rank, float scale) {
  // your code: 19.lora_forward
  for (int n = 0; n < N; ++n) {
    const float* x_n = x + std::int64_t{n} * C;
    float* ax_n = ax + std::int64_t{n} * rank;
    for (int r = 0; r < rank; ++r) {  // down: C numbers become rank
      const float* a_r = a + std::int64_t{r} * C;
      float sum = 0.0f;
      for (int c = 0; c < C; ++c) sum += x_n[c] * a_r[c];
      ax_n[r] = sum;
    }
    float* out_n = out + std::int64_t{n} * stride;
    for (int o = 0; o < OC; ++o) {  // up: rank numbers become OC
      const float* b_o = b + std::int64_t{o} * rank;
      float sum = 0.0f;
      for (int r = 0; r < rank; ++r) sum += ax_n[r] * b_o[r];
      out_n[o] += scale * sum;
    }
  }
  // end of your code
}

// Differentiates ax[n, r] = sum_c x[n, c] * a[r, c]  and
//                out[n, o] += scale * sum_r ax[n, r] * b[o, r]:
//   dax[n, r] = scale * sum_o dout[n, o] * b[o, r]
//   db[o, r] += scale * sum_n dout[n, o] * ax[n, r]
//   da[r, c] += sum_n dax[n, r] * x[n, c]
//   dx[n, c] += sum_r dax[n, r] * a[r, c]
//
// dx [N, C] (nullptr where it is not needed), da [rank, C] and db [OC, rank] accumulate. dout
// [N, OC] has rows that are `stride` values apart. ax [N, rank] is what the forward pass left.
// scratch has room for N * rank floats: dax. The frozen weight gets no gradient at all.
void lora_backward(float* dx, float* da, float* db, const float* dout, const float* ax,
                   const float* x, const float* a, const float* b, float* scratch, int N, int C,
                   int OC, int stride, int rank, float scale) {
  // your code: 19.lora_backward
  for (int n = 0; n < N; ++n) {
    const float* dout_n = dout + std::int64_t{n} * stride;
    const float* ax_n = ax + std::int64_t{n} * rank;
    float* dax_n = scratch + std::int64_t{n} * rank;
    for (int r = 0; r < rank; ++r) dax_n[r] = 0.0f;
    for (int o = 0; o < OC; ++o) {
      // The scale's one place: db and dax both have it from here.
      const float d = scale * dout_n[o];
      for (int r = 0; r < rank; ++r) {
        const std::int64_t i = std::int64_t{o} * rank + r;
        dax_n[r] += d * b[i];
        db[i] += d * ax_n[r];
      }
    }
    for (int r = 0; r < rank; ++r) {
      for (int c = 0; c < C; ++c) {
        da[std::int64_t{r} * C + c] += dax_n[r] * x[std::int64_t{n} * C + c];
        if (dx != nullptr) {
          dx[std::int64_t{n} * C + c] += dax_n[r] * a[std::int64_t{r} * C + c];
        }
      }
    }
  }
  // end of your code
}

std::int64_t lora_scratch_size(int N, int /*C*/, int /*OC*/, int rank) {
  return std::int64_t{N} * rank;
}

// weight[o, c] += scale * sum_r b[o, r] * a[r, c]
//
// weight [OC, C] accumulates: it is the frozen weight, and afterwards x W^T alone gives what layer
// and adapter gave together. a [rank, C], b [OC, rank].
void lora_merge(float* weight, const float* a, const float* b, int C, int OC, int rank,
                float scale) {
  // your code: 19.lora_merge
  for (int o = 0; o < OC; ++o) {
    for (int c = 0; c < C; ++c) {
      float sum = 0.0f;
      for (int r = 0; r < rank; ++r) {
        sum += b[std::int64_t{o} * rank + r] * a[std::int64_t{r} * C + c];
      }
      weight[std::int64_t{o} * C + c] += scale * sum;
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
