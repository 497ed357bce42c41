#include <algorithm>
#include <cstdint>

#include "solutions/24-quantized-inference/blocks.cuh"
#include "solutions/24-quantized-inference/quantized.cuh"

namespace tinygpt::ref_cuda {

// This lane's share of  sum_b dw[b] * dx[b] * sum_i qw[b, i] * qx[b, i]; the warp's lanes have all
// of it together.
//
// A word holds four values, and a block eight words. Lane l has words l, l + 32, ...: neighbouring
// lanes have neighbouring words, and the warp reads four blocks at a time. load4 reads a word;
// __dp4a(a, b, sum) is sum plus the products of a's four bytes, with their signs, and b's.
__device__ float lane_product(const BlockQ8_0* w, const BlockQ8_0* x, int blocks) {
  // your code on the device: 24.matvec_q8_0_cuda
  constexpr int kWords = kQuantBlock / 4;
  float sum = 0.0f;
  for (int word = threadIdx.x % kWarp; word < blocks * kWords; word += kWarp) {
    const int b = word / kWords, i = word % kWords * 4;
    const int dot = __dp4a(load4(w[b].q + i), load4(x[b].q + i), 0);
    sum += to_float(w[b].d) * to_float(x[b].d) * static_cast<float>(dot);
  }
  return sum;
  // end of your code
}

// The same of four-bit weights: a word holds values i to i + 3 in its low halves and i + 16 to
// i + 19 in its high ones, and a block has four words. Masked, they are bytes 0 to 15, for dp4a;
// the 8 that each is too large comes off as 8 times the sum of the x, which is a dp4a with ones.
__device__ float lane_product(const BlockQ4_0* w, const BlockQ8_0* x, int blocks) {
  // your code on the device: 24.matvec_q4_0_cuda
  constexpr int kWords = kQuantBlock / 8, kOnes = 0x01010101, kLow = 0x0f0f0f0f;
  float sum = 0.0f;
  for (int word = threadIdx.x % kWarp; word < blocks * kWords; word += kWarp) {
    const int b = word / kWords, i = word % kWords * 4;
    const int packed = load4(w[b].q + i);
    const int x_low = load4(x[b].q + i), x_high = load4(x[b].q + i + kQuantBlock / 2);
    const int dot = __dp4a(packed & kLow, x_low, __dp4a(packed >> 4 & kLow, x_high, 0));
    const int x_sum = __dp4a(kOnes, x_low, __dp4a(kOnes, x_high, 0));
    sum += to_float(w[b].d) * to_float(x[b].d) * static_cast<float>(dot - 8 * x_sum);
  }
  return sum;
  // end of your code
}

namespace {

// out[n, o] = bias[o] + row o of the weight times row n of x: one warp for each, n by the grid's y.
template <class Real, class Block>
__global__ void matvec_kernel(Real* out, const Block* weight, const BlockQ8_0* x, const float* bias,
                              int rows, int blocks) {
  const std::int64_t o = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  const std::int64_t n = blockIdx.y;
  if (o >= rows) return;
  const float sum = warp_sum(lane_product(weight + o * blocks, x + n * blocks, blocks));
  if (threadIdx.x % kWarp == 0) store(out + n * rows + o, bias != nullptr ? sum + bias[o] : sum);
}

}  // namespace

template <class Real, class Block>
void matvec_rows(Real* out, const Block* weight, const BlockQ8_0* x, const float* bias, int N,
                 int rows, int cols) {
  if (rows == 0) return;
  constexpr int kMost = 65535;  // of a grid's y
  const auto warps = static_cast<unsigned>(ceil_div(rows, kThreads / kWarp));
  const int blocks = cols / kQuantBlock;
  for (std::int64_t n = 0; n < N; n += kMost) {
    const auto count = static_cast<unsigned>(std::min<std::int64_t>(kMost, N - n));
    matvec_kernel<<<dim3(warps, count), kThreads>>>(out + n * rows, weight, x + n * blocks, bias,
                                                    rows, blocks);
    check_launch("matvec");
  }
}

template void matvec_rows(float*, const BlockQ8_0*, const BlockQ8_0*, const float*, int, int, int);
template void matvec_rows(float*, const BlockQ4_0*, const BlockQ8_0*, const float*, int, int, int);
template void matvec_rows(Bfloat16*, const BlockQ8_0*, const BlockQ8_0*, const float*, int, int,
                          int);
template void matvec_rows(Bfloat16*, const BlockQ4_0*, const BlockQ8_0*, const float*, int, int,
                          int);

// Both are matvec_rows with one row of x and no bias: it launches the kernel that calls your
// lane_product.
void matvec_q8_0(float* out, const BlockQ8_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q8_0_cuda
  matvec_rows(out, weight, x, nullptr, 1, rows, cols);
  // end of your code
}

void matvec_q4_0(float* out, const BlockQ4_0* weight, const BlockQ8_0* x, int rows, int cols) {
  // your code: 24.matvec_q4_0_cuda
  matvec_rows(out, weight, x, nullptr, 1, rows, cols);
  // end of your code
}

}  // namespace tinygpt::ref_cuda
