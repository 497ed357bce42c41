#include "exercises/11-gpt/gpt.cuh"

#include <cstdint>

#include "exercises/11-gpt/gpt.h"
#include "exercises/kernel.cuh"
#include "tinygpt/core/random.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine_cuda {

// One block for all losses: thread i of kThreads takes losses i, i + kThreads, ..., so that a warp
// reads 32 neighbours. block_sum(value) (kernel.cuh) adds up what the threads have and gives every
// thread the sum; all threads of the block must call it. The order of additions is the same in
// every run.
__global__ void mean_loss_kernel(float* loss, const float* losses, const int* targets, int N) {
  // your code on the device: 11.mean_loss_cuda
  // end of your code
}

void mean_loss(float* loss, const float* losses, const int* targets, int N) {
  // your code: 11.mean_loss_cuda
  throw NotImplemented("11.mean_loss_cuda");
  // end of your code
  check_launch("mean_loss");
}

// A counter-based generator gives number i without the numbers before it, so each thread can fill
// in its own value:
//   r    = philox4x32(seed, i, stream)                                 four words of 32 bits
//   u, v = (r[0] + 1) / 2^32, r[1] / 2^32                              in double
//   x[i] = deviation * sqrt(-2 log u) * cos(2 pi v)                    Box and Muller (1958)
//
// A grid-stride loop (first_index, index_stride in kernel.cuh), one thread for each value.
__global__ void fill_normal_kernel(float* x, std::int64_t n, float deviation, std::uint64_t seed,
                                   std::uint64_t stream) {
  // your code on the device: 11.fill_normal_cuda
  // end of your code
}

void fill_normal(float* x, std::int64_t n, float deviation, std::uint64_t seed,
                 std::uint64_t stream) {
  if (n == 0) return;
  // your code: 11.fill_normal_cuda
  throw NotImplemented("11.fill_normal_cuda");
  // end of your code
  check_launch("fill_normal");
}

// The functions of gpt.cpp call nothing but m.ops and m.memory, so that with a device's table they
// run there: mine::gpt_forward and mine::gpt_backward are all that is needed. Launches return at
// once, and copy_out waits for everything before it. So it comes last, and moves one number.
float gpt_step(float* d, std::int64_t n, const GptActivations& a, const DeviceBatch& room,
               const int* tokens, const int* targets, int count, const float* params, int B, int T,
               const GptShape& s, const Machine& m) {
  // your code: 11.gpt_step_cuda
  throw NotImplemented("11.gpt_step_cuda");
  // end of your code
}

}  // namespace tinygpt::mine_cuda
