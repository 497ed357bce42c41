#include "exercises/19-lora/lora.h"

#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

namespace tinygpt::mine {

// a[i] = (2 * u(i) - 1) / sqrt(C),  b[i] = 0
//
// a [rank, C] and b [OC, rank] are written, in the order of memory. u(i) is what call i of
// uniform() gives for one Random{seed, 0, stream}, from 0 to 1: so no value of a is farther from 0
// than 1 / sqrt(C), as PEFT has it.
void lora_init(float* a, float* b, int C, int OC, int rank, std::uint64_t seed,
               std::uint64_t stream) {
  // your code: 19.lora_init
  throw NotImplemented("19.lora_init");
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
  throw NotImplemented("19.lora_forward");
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
  throw NotImplemented("19.lora_backward");
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
  throw NotImplemented("19.lora_merge");
  // end of your code
}

}  // namespace tinygpt::mine
