// The operator made of the lesson's two products. Weights stay as a file has them.
#include <cstdint>
#include <string>

#include "solutions/24-quantized-inference/blocks.cuh"
#include "solutions/24-quantized-inference/quantized.cuh"

namespace tinygpt::ref_cuda {
namespace {

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
    matvec_rows(out, static_cast<const BlockQ8_0*>(packed), blocks, bias, N, rows, cols);
  } else {
    matvec_rows(out, static_cast<const BlockQ4_0*>(packed), blocks, bias, N, rows, cols);
  }
}

template QuantizedLinearForward<float> quantized_linear_forward<float>;
template QuantizedLinearForward<Bfloat16> quantized_linear_forward<Bfloat16>;

}  // namespace tinygpt::ref_cuda
