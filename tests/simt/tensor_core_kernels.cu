#include "tests/simt/tensor_core_kernels.h"

#include <cstdint>

#include "tinygpt/simt/tensor_core.h"

namespace test_cuda {
namespace {

using namespace tinygpt::simt;

__global__ void multiply_bf16_kernel(float* d, const std::uint16_t* a, const std::uint16_t* b,
                                     const float* c, bool transposed) {
  __shared__ __align__(16) std::uint16_t a_tile[16][16], b_tile[16 * 8];
  const int lane = threadIdx.x;
  for (int i = lane; i < 256; i += 32) a_tile[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) b_tile[i] = b[i];
  __syncthreads();
  std::uint32_t a_part[4], b_part[2];
  // Four matrices of 8 x 8: upper left, lower left, upper right, lower right.
  ldmatrix_x4(a_part, &a_tile[lane % 16][lane / 16 * 8]);
  if (transposed) {
    ldmatrix_x2(b_part, &b_tile[lane % 8 * 16 + lane / 8 % 2 * 8]);
  } else {
    ldmatrix_x2_trans(b_part, &b_tile[lane % 16 * 8]);
  }
  float part[4];
  const int row = lane / 4, column = 2 * (lane % 4);
  for (int i = 0; i < 4; ++i) part[i] = c[(row + i / 2 * 8) * 8 + column + i % 2];
  mma_bf16(part, a_part, b_part, part);
  for (int i = 0; i < 4; ++i) d[(row + i / 2 * 8) * 8 + column + i % 2] = part[i];
}

__global__ void multiply_tf32_kernel(float* d, const float* a, const float* b, const float* c) {
  const int row = threadIdx.x / 4, member = threadIdx.x % 4;
  std::uint32_t a_part[4], b_part[2];
  for (int i = 0; i < 4; ++i) a_part[i] = to_tf32(a[(row + i % 2 * 8) * 8 + member + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) b_part[i] = to_tf32(b[(member + 4 * i) * 8 + row]);
  float c_part[4], d_part[4];
  for (int i = 0; i < 4; ++i) c_part[i] = c[(row + i / 2 * 8) * 8 + 2 * member + i % 2];
  mma_tf32(d_part, a_part, b_part, c_part);
  for (int i = 0; i < 4; ++i) d[(row + i / 2 * 8) * 8 + 2 * member + i % 2] = d_part[i];
}

__global__ void load_one_kernel(std::uint32_t* r, std::uint32_t* r_transposed,
                                const std::uint16_t* matrix) {
  __shared__ __align__(16) std::uint16_t tile[8][8];
  for (int i = threadIdx.x; i < 64; i += 32) tile[i / 8][i % 8] = matrix[i];
  __syncthreads();
  std::uint32_t word[1];
  ldmatrix_x1(word, tile[threadIdx.x % 8]);
  r[threadIdx.x] = word[0];
  ldmatrix_x1_trans(word, tile[threadIdx.x % 8]);
  r_transposed[threadIdx.x] = word[0];
}

template <bool Waits>
__global__ void pipeline_kernel(float* sums, const float* x, int n) {
  constexpr int kStages = 3;
  __shared__ float stage[kStages][32];
  const int lane = threadIdx.x, neighbour = lane ^ 1;
  for (int i = 0; i < kStages - 1; ++i) {
    if (i < n) cp_async<4>(&stage[i][lane], x + i * 32 + lane);
    cp_async_commit();
  }
  float sum = 0;
  for (int i = 0; i < n; ++i) {
    if (Waits) cp_async_wait<kStages - 2>();
    __syncthreads();
    const int next = i + kStages - 1;
    if (next < n) cp_async<4>(&stage[next % kStages][lane], x + next * 32 + lane);
    cp_async_commit();
    sum += stage[i % kStages][neighbour];  // planted: copy that nobody waits for
  }
  sums[neighbour] = sum;
}

__global__ void copy_widths_kernel(float* out, const float* x, int n) {
  __shared__ __align__(16) float line[128];
  const int lane = threadIdx.x;
  // 64 floats by 16 bytes, 32 by 8 bytes, 32 by 4 bytes.
  if (lane < 16) cp_async<16>(&line[4 * lane], x + 4 * lane, 4 * lane + 3 < n);
  if (lane < 16) cp_async<8>(&line[64 + 2 * lane], x + 64 + 2 * lane, 64 + 2 * lane + 1 < n);
  cp_async<4>(&line[96 + lane], x + 96 + lane, 96 + lane < n);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  for (int i = lane; i < 128; i += 32) out[i] = line[i];
}

}  // namespace

void multiply_bf16(float* d, const std::uint16_t* a, const std::uint16_t* b, const float* c,
                   bool transposed) {
  multiply_bf16_kernel<<<1, 32>>>(d, a, b, c, transposed);
}

void multiply_tf32(float* d, const float* a, const float* b, const float* c) {
  multiply_tf32_kernel<<<1, 32>>>(d, a, b, c);
}

void load_one(std::uint32_t* r, std::uint32_t* r_transposed, const std::uint16_t* matrix) {
  load_one_kernel<<<1, 32>>>(r, r_transposed, matrix);
}

void pipeline(float* sums, const float* x, int n, bool waits) {
  if (waits) {
    pipeline_kernel<true><<<1, 32>>>(sums, x, n);
  } else {
    pipeline_kernel<false><<<1, 32>>>(sums, x, n);
  }
}

void copy_widths(float* out, const float* x, int n) { copy_widths_kernel<<<1, 32>>>(out, x, n); }

}  // namespace test_cuda
