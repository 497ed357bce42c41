#include "exercises/10-block/block.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/core/random.h"
#include "tinygpt/ops/dropout.h"

namespace tinygpt::mine_cuda {
namespace {

// Whether value i is kept. It depends on nothing but (seed, stream, i): any thread can answer, a
// CPU gives the same answer, and the backward pass asks again.
__device__ bool is_kept(std::int64_t i, float p, std::uint64_t seed, std::uint64_t stream) {
  const auto index = static_cast<std::uint64_t>(i);
  const Philox4 bits = philox4x32(seed, index / 4, stream);  // four numbers from each counter
  return uniform_from_bits(bits[index % 4]) >= p;
}

float checked_scale(float p) {
  check(p >= 0.0f && p < 1.0f, "dropout: p must be at least 0 and less than 1");
  return 1.0f / (1.0f - p);
}

}  // namespace

// out[i] = u(i) < p ? 0 : x[i] / (1 - p)
//
// A grid-stride loop, one thread for each value.
template <class Real>
__global__ void dropout_forward_kernel(Real* out, const Real* x, std::int64_t n, float p,
                                       float scale, std::uint64_t seed, std::uint64_t stream) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    store(out + i, is_kept(i, p, seed, stream) ? to_float(x[i]) * scale : 0.0f);
  }
}

template <class Real>
void dropout_forward(Real* out, const Real* x, std::int64_t n, float p, std::uint64_t seed,
                     std::uint64_t stream) {
  const float scale = checked_scale(p);
  if (n == 0) return;
  dropout_forward_kernel<<<blocks_for(n), kThreads>>>(out, x, n, p, scale, seed, stream);
  check_launch("dropout_forward");
}

// Differentiates out[i] = u(i) < p ? 0 : x[i] / (1 - p).
//
// A grid-stride loop, one thread for each value.
template <class Real>
__global__ void dropout_backward_kernel(Real* dx, const Real* dout, std::int64_t n, float p,
                                        float scale, std::uint64_t seed, std::uint64_t stream) {
  const bool in_place = dx == dout;
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const float d = is_kept(i, p, seed, stream) ? to_float(dout[i]) * scale : 0.0f;
    store(dx + i, in_place ? d : to_float(dx[i]) + d);
  }
}

template <class Real>
void dropout_backward(Real* dx, const Real* dout, std::int64_t n, float p, std::uint64_t seed,
                      std::uint64_t stream) {
  const float scale = checked_scale(p);
  if (n == 0) return;
  dropout_backward_kernel<<<blocks_for(n), kThreads>>>(dx, dout, n, p, scale, seed, stream);
  check_launch("dropout_backward");
}

template DropoutForward<float> dropout_forward<float>;
template DropoutForward<Bfloat16> dropout_forward<Bfloat16>;
template DropoutBackward<float> dropout_backward<float>;
template DropoutBackward<Bfloat16> dropout_backward<Bfloat16>;

}  // namespace tinygpt::mine_cuda
