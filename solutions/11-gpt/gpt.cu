#include "solutions/11-gpt/gpt.cuh"

#include <cstdint>

#include "solutions/11-gpt/gpt.h"
#include "solutions/kernel.cuh"
#include "tinygpt/core/random.h"

namespace tinygpt::ref_cuda {

// One block for all losses: thread i of kThreads takes losses i, i + kThreads, ..., so that a warp
// reads 32 neighbours. block_sum(value) (kernel.cuh) adds up what the threads have and gives every
// thread the sum; all threads of the block must call it. The order of additions is the same in
// every run.
__global__ void mean_loss_kernel(float* loss, const float* losses, const int* targets, int N) {
  // your code on the device: 11.mean_loss_cuda
  float sum = 0.0f;
  int count = 0;
  for (int n = threadIdx.x; n < N; n += blockDim.x) {
    if (targets[n] == kIgnoreTarget) continue;
    sum += losses[n];
    ++count;
  }
  sum = block_sum(sum);
  count = block_sum(count);
  if (threadIdx.x == 0) loss[0] = count == 0 ? 0.0f : sum / count;
  // end of your code
}

void mean_loss(float* loss, const float* losses, const int* targets, int N) {
  // your code: 11.mean_loss_cuda
  mean_loss_kernel<<<1, kThreads>>>(loss, losses, targets, N);
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
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const Philox4 r = philox4x32(seed, static_cast<std::uint64_t>(i), stream);
    const double u = (static_cast<double>(r[0]) + 1.0) * 0x1.0p-32;
    const double v = static_cast<double>(r[1]) * 0x1.0p-32;
    x[i] = static_cast<float>(deviation * sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
  }
  // end of your code
}

void fill_normal(float* x, std::int64_t n, float deviation, std::uint64_t seed,
                 std::uint64_t stream) {
  if (n == 0) return;
  // your code: 11.fill_normal_cuda
  fill_normal_kernel<<<blocks_for(n), kThreads>>>(x, n, deviation, seed, stream);
  // end of your code
  check_launch("fill_normal");
}

// The functions of gpt.cpp call nothing but m.ops and m.memory, so that with a device's table they
// run there: ref::gpt_forward and ref::gpt_backward are all that is needed. Launches return at
// once, and copy_out waits for everything before it. So it comes last, and moves one number.
float gpt_step(float* d, std::int64_t n, const GptActivations& a, const DeviceBatch& room,
               const int* tokens, const int* targets, int count, const float* params, int B, int T,
               const GptShape& s, const Machine& m) {
  // your code: 11.gpt_step_cuda
  const GptParameters<const float> p = gpt_parameters(params, s);
  const std::size_t batch_bytes = sizeof(int) * static_cast<std::size_t>(B) * T;
  m.memory.copy_in(room.tokens, tokens, batch_bytes);
  m.memory.copy_in(room.targets, targets, batch_bytes);
  m.memory.zero(d, static_cast<std::size_t>(n) * sizeof(float));
  ref::gpt_forward(a, room.tokens, room.targets, p, B, T, s, m);
  mean_loss(room.loss, a.losses, room.targets, B * T);
  ref::gpt_backward(gpt_parameters(d, s), a, room.tokens, room.targets, count, p, B, T, s, m);
  float loss = 0.0f;
  m.memory.copy_out(&loss, room.loss, sizeof(loss));
  return loss;
  // end of your code
}

}  // namespace tinygpt::ref_cuda
