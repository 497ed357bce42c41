#include "exercises/13-training-loop/optimizer.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/gradient_norm.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {
namespace {

// Blocks, and so partial results: they depend on n alone, not on the GPU, and with them the order
// of all additions.
std::int64_t partial_norms(std::int64_t n) {
  constexpr std::int64_t kMost = 1024;
  return std::min(ceil_div(n, kThreads), kMost);
}

}  // namespace

// norms[block] = sqrt(sum of the squares of x over this block's part)
//
// Blocks cannot wait for each other within one kernel, so there are two launches. The first one
// gives each block a part of the gradient, by a grid-stride loop, and leaves `parts` norms in
// scratch; the second one has a single block and takes the norm of the norms, which is the norm of
// everything. With n = 0 there are no parts, a grid of 0 blocks is an error, and the norm is 0.
//
// In double: in float, a million small squares would vanish beside the sum, and a large one would
// be infinite. A norm is a float again: the root brings it back into range. (block_sum: the sum of
// one value of each thread, to all of them; every thread of the block must call it.)
__global__ void norm_kernel(float* norms, const float* x, std::int64_t n) {
  // your code on the device: 13.gradient_norm_cuda
  // end of your code
}

void gradient_norm(float* norm, const float* grad, float* scratch, std::int64_t n) {
  const std::int64_t parts = partial_norms(n);
  // your code: 13.gradient_norm_cuda
  throw NotImplemented("13.gradient_norm_cuda");
  // end of your code
  check_launch("gradient_norm");
}

std::int64_t gradient_norm_scratch_size(std::int64_t n) { return partial_norms(n); }

// grad[i] *= max_norm / norm[0]   if norm[0] > max_norm
//
// One factor for all parameters: the step gets shorter and keeps its direction. The norm is read on
// the device, where it was computed: the CPU need not wait for it.
//
// A grid-stride loop, one thread for each value.
__global__ void clip_gradients_kernel(float* grad, const float* norm, std::int64_t n,
                                      float max_norm) {
  const float length = norm[0];
  if (!isfinite(length) || length <= max_norm) return;
  const float factor = max_norm / length;
  for (std::int64_t i = first_index(); i < n; i += index_stride()) grad[i] *= factor;
}

void clip_gradients(float* grad, const float* norm, std::int64_t n, float max_norm) {
  if (n == 0) return;
  clip_gradients_kernel<<<blocks_for(n), kThreads>>>(grad, norm, n, max_norm);
  check_launch("clip_gradients");
}

}  // namespace tinygpt::mine_cuda
