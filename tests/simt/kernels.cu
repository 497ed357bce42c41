#include "tests/simt/kernels.h"

#include <cstdint>

#include "tinygpt/simt/cuda.h"

namespace test_cuda {
namespace {

constexpr int kTile = 16;

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

__global__ void matmul_naive_kernel(float* c, const float* a, const float* b, int M, int N, int K) {
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= M || column >= N) return;
  float sum = 0;
  for (int k = 0; k < K; ++k) sum += a[row * K + k] * b[k * N + column];
  c[row * N + column] = sum;
}

template <int Tile>
__global__ void matmul_tiled_kernel(float* c, const float* a, const float* b, int M, int N, int K) {
  __shared__ float a_tile[Tile][Tile], b_tile[Tile][Tile];
  const int row = blockIdx.y * Tile + threadIdx.y;
  const int column = blockIdx.x * Tile + threadIdx.x;
  float sum = 0;
  for (int k = 0; k < K; k += Tile) {
    const int ka = k + threadIdx.x, kb = k + threadIdx.y;
    a_tile[threadIdx.y][threadIdx.x] = row < M && ka < K ? a[row * K + ka] : 0.0f;
    b_tile[threadIdx.y][threadIdx.x] = kb < K && column < N ? b[kb * N + column] : 0.0f;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Tile; ++i) sum += a_tile[threadIdx.y][i] * b_tile[i][threadIdx.x];
    __syncthreads();
  }
  if (row < M && column < N) c[row * N + column] = sum;
}

__device__ __forceinline__ float warp_sum(float value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

template <class Real, int Threads>
__global__ void __launch_bounds__(Threads) row_sums_kernel(Real* sums, const Real* x, int C) {
  __shared__ Real partial[Threads / 32];
  const Real* x_row = x + static_cast<std::size_t>(blockIdx.x) * C;
  Real sum = 0;
  for (int c = threadIdx.x; c < C; c += Threads) sum += x_row[c];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    Real total = 0;
    for (int w = 0; w < Threads / 32; ++w) total += partial[w];
    sums[blockIdx.x] = total;
  }
}

__global__ void histogram_kernel(unsigned* counts, const int* values, int n, int bins) {
  extern __shared__ __align__(16) unsigned local[];
  for (int i = threadIdx.x; i < bins; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    atomicAdd(&local[values[i]], 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < bins; i += blockDim.x) atomicAdd(&counts[i], local[i]);
}

__global__ void reverse_kernel(float* out, const float* x) {
  extern __shared__ float line[];
  const int n = blockDim.x, first = blockIdx.x * n;
  line[threadIdx.x] = x[first + threadIdx.x];
  __syncthreads();
  out[first + threadIdx.x] = line[n - 1 - threadIdx.x];
}

__global__ void collectives_kernel(std::uint64_t* out, const int* x) {
  const unsigned all = 0xffffffffu;
  const int lane = threadIdx.x;
  const int v = x[lane];
  std::uint64_t* const mine = out + lane * kCollectives;
  mine[0] = __shfl_sync(all, v, 5);
  mine[1] = __shfl_up_sync(all, v, 3);
  mine[2] = __shfl_down_sync(all, v, 3);
  mine[3] = __shfl_xor_sync(all, v, 7);
  mine[4] = __shfl_down_sync(all, v, 1, 8);
  mine[5] = __ballot_sync(all, v & 1);
  mine[6] = __any_sync(all, v == 40) + 2 * __all_sync(all, v >= 0);
  mine[7] = __reduce_add_sync(all, v);
  mine[8] = __reduce_max_sync(all, v);
  mine[9] = __reduce_min_sync(all, -v);
  mine[10] = __double_as_longlong(__shfl_sync(all, 0.5 * v, lane ^ 1));
  // Halves of a warp on their own, and one half more often than the other.
  const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
  int sum = v;
  for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(half, sum, step);
  mine[11] = sum;
  if (lane < 16) sum = __shfl_sync(half, sum + lane, 2);
  __syncwarp();
  mine[12] = __shfl_sync(all, sum, 0);
  mine[13] = __match_any_sync(all, v % 4);
}

__global__ void block_votes_kernel(int* out, const int* x) {
  const int v = x[threadIdx.x] & 1;
  out[3 * threadIdx.x] = __syncthreads_count(v);
  out[3 * threadIdx.x + 1] = __syncthreads_and(v);
  out[3 * threadIdx.x + 2] = __syncthreads_or(v);
}

__global__ void deadlock_kernel(int* out) {
  int value = threadIdx.x;
  if (threadIdx.x < 16) value = __shfl_down_sync(0xffffffffu, value, 1);
  out[threadIdx.x] = value;
}

}  // namespace

void matmul_naive(float* c, const float* a, const float* b, int M, int N, int K) {
  const dim3 block(kTile, kTile), grid(ceil_div(N, kTile), ceil_div(M, kTile));
  matmul_naive_kernel<<<grid, block>>>(c, a, b, M, N, K);
}

void matmul_tiled(float* c, const float* a, const float* b, int M, int N, int K) {
  const dim3 block(kTile, kTile), grid(ceil_div(N, kTile), ceil_div(M, kTile));
  matmul_tiled_kernel<kTile><<<grid, block>>>(c, a, b, M, N, K);
}

void row_sums(float* sums, const float* x, int N, int C) {
  constexpr int kThreads = 128;
  row_sums_kernel<float, kThreads>
      <<<N, kThreads>>>(sums, x, C);  // "kernel<<<1, 1>>>()" in a comment stays
}

void histogram(unsigned* counts, const int* values, int n, int bins) {
  histogram_kernel<<<4, 64, bins * sizeof(unsigned), nullptr>>>(counts, values, n, bins);
}

void reverse(float* out, const float* x, int n, int blocks) {
  reverse_kernel<<<blocks, n, n * sizeof(float)>>>(out, x);
}

void collectives(std::uint64_t* out, const int* x) { collectives_kernel<<<1, 32>>>(out, x); }

void block_votes(int* out, const int* x, int n) { block_votes_kernel<<<1, n>>>(out, x); }

void deadlock(int* out) { deadlock_kernel<<<1, 32>>>(out); }

}  // namespace test_cuda
