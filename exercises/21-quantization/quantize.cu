#include "exercises/21-quantization/quantize.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/core/error.h"

// A block of 32 values is as wide as a warp: each lane has one value, and what the block shares,
// its scale, the lanes find by exchanging registers.

namespace tinygpt::mine_cuda {
namespace {

__device__ float half_to_float(Float16 x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ void store_half(Float16* to, float x) { to->bits = __half_as_ushort(__float2half(x)); }

// 1 / d, or 0 where d is nothing.
__device__ float inverse_of(float d) {
  constexpr float kSmallestNormal = 0x1p-126f;
  return fabsf(d) >= kSmallestNormal ? 1.0f / d : 0.0f;
}

// Which block of 32 values is this warp's first, and by how many all warps together come round.
__device__ std::int64_t first_warp() { return first_index() / kWarp; }
__device__ std::int64_t warp_stride() { return index_stride() / kWarp; }

std::int64_t blocks_of(std::int64_t n) {
  check(n % kQuantBlock == 0, "quantize: rows must be multiples of 32 values, one block each");
  return n / kQuantBlock;
}

}  // namespace

// d = max |x| / 127,  q[i] = round(x[i] / d)
//
// One warp for each block of 32, one lane for each value: the 32 loads are one piece of memory.
// Each lane writes its byte, lane 0 the scale, in half precision. (warp_reduce<Max> gives all lanes
// the largest of their values; roundf rounds halves away from zero.)
__global__ void quantize_q8_0_kernel(BlockQ8_0* out, const float* x, std::int64_t blocks) {
  const int lane = threadIdx.x % kWarp;
  for (std::int64_t b = first_warp(); b < blocks; b += warp_stride()) {
    // your code on the device: 21.quantize_q8_0_cuda
    // end of your code
  }
}

void quantize_q8_0(BlockQ8_0* out, const float* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  if (blocks == 0) return;
  // your code: 21.quantize_q8_0_cuda
  throw NotImplemented("21.quantize_q8_0_cuda");
  // end of your code
  check_launch("quantize_q8_0");
}

// d = m / -8, m the value of largest magnitude, with its sign; of equals, the first
// q[i] = min(15, floor(x[i] / d + 8.5)),  value i in the low half of byte i, i + 16 in the high
//
// One warp for each block of 32, one lane for each value. All lanes know the largest magnitude from
// warp_reduce<Max>; __ballot_sync has a bit for each lane that has it, __ffs finds the first of
// them (counting from 1), and __shfl_sync fetches its value. Lane i < 16 fetches the code of lane
// i + 16 and writes both as one byte: two lanes that each change a half of it would race.
__global__ void quantize_q4_0_kernel(BlockQ4_0* out, const float* x, std::int64_t blocks) {
  const int lane = threadIdx.x % kWarp;
  for (std::int64_t b = first_warp(); b < blocks; b += warp_stride()) {
    // your code on the device: 21.quantize_q4_0_cuda
    // end of your code
  }
}

void quantize_q4_0(BlockQ4_0* out, const float* x, std::int64_t n) {
  const std::int64_t blocks = blocks_of(n);
  if (blocks == 0) return;
  // your code: 21.quantize_q4_0_cuda
  throw NotImplemented("21.quantize_q4_0_cuda");
  // end of your code
  check_launch("quantize_q4_0");
}

// x'[i] = d * q[i]
//
// A grid-stride loop, one thread for each value: the 32 stores of a warp are one piece of memory.
__global__ void dequantize_q8_0_kernel(float* out, const BlockQ8_0* x, std::int64_t n) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const BlockQ8_0& block = x[i / kQuantBlock];
    // your code on the device: 21.dequantize_cuda
    // end of your code
  }
}

void dequantize_q8_0(float* out, const BlockQ8_0* x, std::int64_t n) {
  if (blocks_of(n) == 0) return;
  // your code: 21.dequantize_cuda
  throw NotImplemented("21.dequantize_cuda");
  // end of your code
  check_launch("dequantize_q8_0");
}

// x'[i] = d * (q[i] - 8): values 0 .. 15 of a block in the low halves of its bytes, 16 .. 31 in the
// high ones.
//
// A grid-stride loop, one thread for each value: two threads read the same byte, in the same load.
__global__ void dequantize_q4_0_kernel(float* out, const BlockQ4_0* x, std::int64_t n) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const BlockQ4_0& block = x[i / kQuantBlock];
    const int at = static_cast<int>(i % kQuantBlock);
    // your code on the device: 21.dequantize_cuda
    // end of your code
  }
}

void dequantize_q4_0(float* out, const BlockQ4_0* x, std::int64_t n) {
  if (blocks_of(n) == 0) return;
  // your code: 21.dequantize_cuda
  throw NotImplemented("21.dequantize_cuda");
  // end of your code
  check_launch("dequantize_q4_0");
}

}  // namespace tinygpt::mine_cuda
