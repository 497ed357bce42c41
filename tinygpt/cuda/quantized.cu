// Linear layers over quantized weights.
//
// Packed, a matrix is its values row by row, 16 or 32 bytes a block, and then all scales. So a lane
// reads 16 bytes at once and a warp 512 that lie side by side, where a file's blocks of 18 or 34
// bytes allow two at a time. A warp that has read a row's weights uses them for up to eight rows of
// activations.
#include "tinygpt/cuda/quantized.cuh"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "solutions/24-quantized-inference/blocks.cuh"
#include "solutions/kernel.cuh"

namespace tinygpt::cuda {
namespace {

using ref_cuda::blocks_for;
using ref_cuda::ceil_div;
using ref_cuda::check_launch;
using ref_cuda::first_index;
using ref_cuda::index_stride;
using ref_cuda::kThreads;
using ref_cuda::kWarp;
using ref_cuda::store;
using ref_cuda::to_float;
using ref_cuda::warp_sum;

constexpr int kMostRows = 8;  // of x that a warp has at a time

std::int64_t value_bytes(QuantType type, int rows, int cols) {
  return std::int64_t{rows} * cols / (type == QuantType::q8_0 ? 1 : 2);
}

template <class Block>
void arrange(std::uint8_t* values, Float16* scales, const Block* blocks, std::int64_t n) {
  for (std::int64_t b = 0; b < n; ++b) {
    std::memcpy(values + b * std::int64_t{sizeof(blocks[b].q)}, blocks[b].q, sizeof(blocks[b].q));
    scales[b] = blocks[b].d;
  }
}

// The activations in scratch: values, then scales as floats. Scratch is aligned as floats are; the
// values begin where 16 bytes can be loaded at once.
struct Activations {
  std::int8_t* q;  // [N, cols]
  float* d;        // [N, cols / 32]
};

Activations activations(float* scratch, int N, int cols) {
  const auto address = reinterpret_cast<std::uintptr_t>(scratch);
  float* values = scratch + (16 - address % 16) % 16 / sizeof(float);
  return {reinterpret_cast<std::int8_t*>(values), values + std::int64_t{N} * cols / 4};
}

// One warp for each block of 32 values, one lane for each value.
template <class Real>
__global__ void quantize_activations_kernel(Activations out, const Real* x, std::int64_t blocks) {
  for (std::int64_t b = first_index() / kWarp; b < blocks; b += index_stride() / kWarp) {
    const std::int64_t i = b * kQuantBlock + threadIdx.x % kWarp;
    Float16 d;
    out.q[i] = static_cast<std::int8_t>(ref_cuda::quantize_lane(d, to_float(x[i])));
    if (threadIdx.x % kWarp == 0) out.d[b] = to_float(d);
  }
}

__device__ int dot16(uint4 a, uint4 b, int sum) {
  sum = __dp4a(static_cast<int>(a.x), static_cast<int>(b.x), sum);
  sum = __dp4a(static_cast<int>(a.y), static_cast<int>(b.y), sum);
  sum = __dp4a(static_cast<int>(a.z), static_cast<int>(b.z), sum);
  return __dp4a(static_cast<int>(a.w), static_cast<int>(b.w), sum);
}

__device__ uint4 low_halves(uint4 v) {
  constexpr unsigned kLow = 0x0f0f0f0f;
  return make_uint4(v.x & kLow, v.y & kLow, v.z & kLow, v.w & kLow);
}

__device__ uint4 high_halves(uint4 v) {
  return low_halves(make_uint4(v.x >> 4, v.y >> 4, v.z >> 4, v.w >> 4));
}

// 16 bytes of a row of weights times the activations that they meet: half a block of Q8_0, a whole
// one of Q4_0.
template <QuantType Type>
__device__ int chunk_product(uint4 weight, const std::int8_t* x) {
  const auto* words = reinterpret_cast<const uint4*>(x);
  if constexpr (Type == QuantType::q8_0) {
    return dot16(weight, words[0], 0);
  } else {
    constexpr unsigned kOnes = 0x01010101;
    const uint4 ones = make_uint4(kOnes, kOnes, kOnes, kOnes);
    const uint4 x_low = words[0], x_high = words[1];
    const int dot = dot16(low_halves(weight), x_low, dot16(high_halves(weight), x_high, 0));
    return dot - 8 * dot16(ones, x_low, dot16(ones, x_high, 0));
  }
}

template <class Real>
struct Product {
  Real* out;  // [N, rows]
  Activations x;
  const std::uint8_t* values;
  const Float16* scales;
  const float* bias;
  int N, rows, cols;
};

// out[n, o] for one row o of the weight and kRows rows n of x: one warp each, n by the grid's y.
template <QuantType Type, int kRows, class Real>
__global__ void quantized_linear_kernel(Product<Real> p) {
  constexpr int kChunks = Type == QuantType::q8_0 ? 2 : 1;  // of 16 bytes in a block
  constexpr int kCovered = kQuantBlock / kChunks;           // activations that one meets
  const std::int64_t o = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (o >= p.rows) return;
  const std::int64_t first = std::int64_t{blockIdx.y} * kRows;
  const std::int64_t blocks = p.cols / kQuantBlock;
  const auto* row = reinterpret_cast<const uint4*>(p.values + o * blocks * kChunks * 16);
  float sum[kRows] = {};
  for (int c = threadIdx.x % kWarp; c < blocks * kChunks; c += kWarp) {
    const int b = c / kChunks;
    const uint4 weight = row[c];
    const float d = to_float(p.scales[o * blocks + b]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (first + r >= p.N) break;
      const std::int8_t* x = p.x.q + (first + r) * p.cols + std::int64_t{c} * kCovered;
      const float scale = d * p.x.d[(first + r) * blocks + b];
      sum[r] += scale * static_cast<float>(chunk_product<Type>(weight, x));
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (first + r >= p.N) break;
    const float total = warp_sum(sum[r]);
    if (threadIdx.x % kWarp != 0) continue;
    store(p.out + (first + r) * p.rows + o, p.bias != nullptr ? total + p.bias[o] : total);
  }
}

template <QuantType Type, class Real>
void launch(const Product<Real>& p) {
  const auto blocks = static_cast<unsigned>(ceil_div(p.rows, kThreads / kWarp));
  if (p.N == 1) {
    quantized_linear_kernel<Type, 1, Real><<<blocks, kThreads>>>(p);
  } else {
    const auto groups = static_cast<unsigned>(ceil_div(p.N, kMostRows));
    check(groups <= 65535, "quantized_linear_forward: N is too large");
    quantized_linear_kernel<Type, kMostRows, Real><<<dim3(blocks, groups), kThreads>>>(p);
  }
  check_launch("quantized_linear_forward");
}

}  // namespace

std::int64_t quantized_packed_size(QuantType type, int rows, int cols) {
  return value_bytes(type, rows, cols) +
         std::int64_t{rows} * (cols / kQuantBlock) * std::int64_t{sizeof(Float16)};
}

void quantized_pack(void* packed, const void* blocks, QuantType type, int rows, int cols) {
  check(cols % kQuantBlock == 0, "quantized_pack: rows must be multiples of 32 values");
  const auto bytes = static_cast<std::size_t>(quantized_packed_size(type, rows, cols));
  if (bytes == 0) return;
  std::vector<std::uint8_t> arranged(bytes);
  auto* scales = reinterpret_cast<Float16*>(arranged.data() + value_bytes(type, rows, cols));
  const std::int64_t n = std::int64_t{rows} * (cols / kQuantBlock);
  if (type == QuantType::q8_0) {
    arrange(arranged.data(), scales, static_cast<const BlockQ8_0*>(blocks), n);
  } else {
    arrange(arranged.data(), scales, static_cast<const BlockQ4_0*>(blocks), n);
  }
  const cudaError_t status = cudaMemcpy(packed, arranged.data(), bytes, cudaMemcpyHostToDevice);
  check(status == cudaSuccess,
        [&] { return std::string("quantized_pack: CUDA says: ") + cudaGetErrorString(status); });
}

std::int64_t quantized_scratch_size(int N, int /*rows*/, int cols) {
  return std::int64_t{N} * (cols / 4 + cols / kQuantBlock) + 3;
}

template <class Real>
void quantized_linear_forward(Real* out, const Real* x, const QuantizedMatrix& weight,
                              const float* bias, float* scratch, int N) {
  const auto& [type, rows, cols, packed] = weight;
  check(cols % kQuantBlock == 0, "quantized_linear_forward: cols must be a multiple of 32");
  if (N == 0 || rows == 0) return;
  const Activations a = activations(scratch, N, cols);
  const std::int64_t values = std::int64_t{N} * cols;
  if (values > 0) {
    quantize_activations_kernel<<<blocks_for(values), kThreads>>>(a, x, values / kQuantBlock);
    check_launch("quantized_linear_forward, activations");
  }
  const auto* bytes = static_cast<const std::uint8_t*>(packed);
  const auto* scales = reinterpret_cast<const Float16*>(bytes + value_bytes(type, rows, cols));
  const Product<Real> product{out, a, bytes, scales, bias, N, rows, cols};
  type == QuantType::q8_0 ? launch<QuantType::q8_0>(product) : launch<QuantType::q4_0>(product);
}

template QuantizedLinearForward<float> quantized_linear_forward<float>;
template QuantizedLinearForward<Bfloat16> quantized_linear_forward<Bfloat16>;

}  // namespace tinygpt::cuda
