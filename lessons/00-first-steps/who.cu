#include "lessons/00-first-steps/who.cuh"

#include "solutions/kernel.cuh"

namespace tinygpt::lesson_cuda {

__global__ void who_kernel(int* turn, int* block, int* thread, int* idle, int* counter, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) {
    atomicAdd(idle, 1);  // this thread has nothing to do
    return;
  }
  turn[i] = atomicAdd(counter, 1);
  block[i] = static_cast<int>(blockIdx.x);
  thread[i] = static_cast<int>(threadIdx.x);
}

void who(int* turn, int* block, int* thread, int* idle, int* counter, int n, int blocks,
         int threads) {
  who_kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads)>>>(turn, block, thread,
                                                                                idle, counter, n);
  ref_cuda::check_launch("who");
}

}  // namespace tinygpt::lesson_cuda
