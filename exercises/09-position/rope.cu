#include "exercises/09-position/position.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/rope.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {
namespace {

void check_head_size(int HS) {
  check(HS % 2 == 0, "rope: the head size must be even, since values are turned in pairs");
}

}  // namespace

// cosine[t, i] = cos(t * base^(-2 i / HS)),  sine[t, i] = sin(the same angle)
//
// One thread for each angle.
__global__ void rope_table_kernel(float* cosine, float* sine, int T, int HS, double base) {
  const int half = HS / 2;
  for (std::int64_t at = first_index(); at < std::int64_t{T} * half; at += index_stride()) {
    const int t = static_cast<int>(at / half), i = static_cast<int>(at % half);
    const double angle = t * pow(base, -2.0 * i / HS);
    cosine[at] = static_cast<float>(cos(angle));
    sine[at] = static_cast<float>(sin(angle));
  }
}

void rope_table(float* cosine, float* sine, int T, int HS, float base) {
  check_head_size(HS);
  if (T == 0 || HS == 0) return;
  const unsigned blocks = blocks_for(std::int64_t{T} * (HS / 2));
  rope_table_kernel<<<blocks, kThreads>>>(cosine, sine, T, HS, double{base});
  check_launch("rope_table");
}

// Turns each pair (x[i], x[i + HS/2]) of the first `heads` heads of every row by `direction` times
// its angle: cosine[p, i] and sine[p, i] with p = start + t, as in rope.cpp.
//
// One thread for each of the B * T * heads * HS / 2 pairs, in a grid-stride loop. It reads both
// values before it writes either. Neighbouring threads have neighbouring i: a warp reads two pieces
// of memory, one in each half of the head. to_float reads any Real as float, store(to, value)
// writes it.
template <class Real>
__global__ void rotate_kernel(Real* x, const float* cosine, const float* sine, std::int64_t pairs,
                              int T, int heads, int HS, int stride, int start, float direction) {
  // your code on the device: 09.rope_cuda
  // end of your code
}

namespace {

template <class Real>
void rotate(Real* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
            int stride, int start, float direction) {
  check_head_size(HS);
  const std::int64_t pairs = std::int64_t{B} * T * heads * (HS / 2);
  if (pairs == 0) return;
  // your code: 09.rope_cuda
  throw NotImplemented("09.rope_cuda");
  // end of your code
  check_launch("rope");
}

}  // namespace

// out[i] = x[i] * cos - x[i + HS/2] * sin,  out[i + HS/2] = x[i] * sin + x[i + HS/2] * cos
template <class Real>
void rope_forward(Real* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
                  int stride, int start) {
  rotate(x, cosine, sine, B, T, heads, HS, stride, start, 1.0f);
}

// Differentiates the rotation out = R x, in place: dx = R^T dout.
template <class Real>
void rope_backward(Real* dx, const float* cosine, const float* sine, int B, int T, int heads,
                   int HS, int stride, int start) {
  // your code: 09.rope_cuda
  throw NotImplemented("09.rope_cuda");
  // end of your code
}

template RopeForward<float> rope_forward<float>;
template RopeForward<Bfloat16> rope_forward<Bfloat16>;
template RopeBackward<float> rope_backward<float>;
template RopeBackward<Bfloat16> rope_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
