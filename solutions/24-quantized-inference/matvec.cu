#include <cstdint>

#include "solutions/24-quantized-inference/blocks.cuh"
#include "solutions/24-quantized-inference/quantized.cuh"

namespace tinygpt::ref_cuda {

// This lane's share of  sum_b dw[b] * dx[b] * sum_i qw[b, i] * qx[b, i]; the warp's lanes have all
// of it together.
//
// A word holds four values, and a block eight words. Lane l has words l, l + 32, ...: neighbouring
// lanes have neighbouring words, and the warp reads four blocks at a time.
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

template <class Real, class Block>
void matvec(Real* out, const Block* weight, const BlockQ8_0* x, const float* bias, int N, int rows,
            int cols, const char* what) {
  if (rows == 0) return;
  constexpr int kMost = 65535;  // of a grid's y
  const auto warps = static_cast<unsigned>(ceil_div(rows, kThreads / kWarp));
  const int blocks = cols / kQuantBlock;
  for (std::int64_t n = 0; n < N; n += kMost) {
    const auto count = static_cast<unsigned>(std::min<std::int64_t>(kMost, N - n));
    matvec_kernel<<<dim3(warps, count), kThreads>>>(out + n * rows, weight, x + n * blocks, bias,
                                                    rows, blocks);
    check_launch(what);
  }
}

// One warp for each block of 32 values, one lane for each value.
template <class Real>
__global__ void quantize_activations_kernel(BlockQ8_0* out, const Real* x, std::int64_t blocks) {
  for (std::int64_t b = first_index() / kWarp; b < blocks; b += index_stride() / kWarp) {
    const int lane = threadIdx.x % kWarp;
    Float16 d;
    const int q = quantize_lane(d, to_float(x[b * kQuantBlock + lane]));
    out[b].q[lane] = static_cast<std::int8_t>(q);
    if (lane == 0) out[b].d = d;
  }
}

}  // namespace

void matvec_q8_0(float* out, const BlockQ8_0* weight, const BlockQ8_0* x, int rows, int cols) {
  matvec(out, weight, x, nullptr, 1, rows, cols, "matvec_q8_0");
}

void matvec_q4_0(float* out, const BlockQ4_0* weight, const BlockQ8_0* x, int rows, int cols) {
  matvec(out, weight, x, nullptr, 1, rows, cols, "matvec_q4_0");
}

std::int64_t quantized_packed_size(QuantType type, int rows, int cols) {
  const std::int64_t block = type == QuantType::q8_0 ? sizeof(BlockQ8_0) : sizeof(BlockQ4_0);
  return std::int64_t{rows} * (cols / kQuantBlock) * block;
}

// As a file has them.
void quantized_pack(void* packed, const void* blocks, QuantType type, int rows, int cols) {
  check(cols % kQuantBlock == 0, "quantized_pack: rows must be multiples of 32 values");
  const auto bytes = static_cast<std::size_t>(quantized_packed_size(type, rows, cols));
  if (bytes == 0) return;
  const cudaError_t status = cudaMemcpy(packed, blocks, bytes, cudaMemcpyHostToDevice);
  check(status == cudaSuccess,
        [&] { return std::string("quantized_pack: CUDA says: ") + cudaGetErrorString(status); });
}

std::int64_t quantized_scratch_size(int N, int /*rows*/, int cols) {
  const std::int64_t bytes = std::int64_t{N} * (cols / kQuantBlock) * sizeof(BlockQ8_0);
  return ceil_div(bytes, sizeof(float));
}

template <class Real>
void quantized_linear_forward(Real* out, const Real* x, const QuantizedMatrix& weight,
                              const float* bias, float* scratch, int N) {
  const auto& [type, rows, cols, packed] = weight;
  check(cols % kQuantBlock == 0, "quantized_linear_forward: cols must be a multiple of 32");
  if (N == 0 || rows == 0) return;
  auto* blocks = reinterpret_cast<BlockQ8_0*>(scratch);
  const std::int64_t values = std::int64_t{N} * cols;
  if (values > 0) {
    quantize_activations_kernel<<<blocks_for(values), kThreads>>>(blocks, x, values / kQuantBlock);
    check_launch("quantized_linear_forward, activations");
  }
  if (type == QuantType::q8_0) {
    matvec(out, static_cast<const BlockQ8_0*>(packed), blocks, bias, N, rows, cols,
           "quantized_linear_forward, Q8_0");
  } else {
    matvec(out, static_cast<const BlockQ4_0*>(packed), blocks, bias, N, rows, cols,
           "quantized_linear_forward, Q4_0");
  }
}

template QuantizedLinearForward<float> quantized_linear_forward<float>;
template QuantizedLinearForward<Bfloat16> quantized_linear_forward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
