// The operator made of the lesson's two products. Weights stay as a file has them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "exercises/24-quantized-inference/quantized.h"
#include "tinygpt/core/error.h"

namespace tinygpt::mine {
namespace {

std::int64_t block_bytes(QuantType type) {
  return type == QuantType::q8_0 ? sizeof(BlockQ8_0) : sizeof(BlockQ4_0);
}

// Activations are not checked as weights are, since a model computes on: what no scale can hold
// becomes NaN, and shows.
void quantize_activations(BlockQ8_0* out, const float* x, std::int64_t blocks) {
  for (std::int64_t b = 0; b < blocks; ++b) {
    const float* x_b = x + b * kQuantBlock;
    float largest = 0.0f;
    bool number = true;
    for (int i = 0; i < kQuantBlock; ++i) {
      largest = std::max(largest, std::fabs(x_b[i]));
      number = number && !std::isnan(x_b[i]);
    }
    const float d = largest / 127.0f;
    out[b].d = Float16(d);
    const bool fits = number && std::isfinite(static_cast<float>(out[b].d));
    if (!fits) out[b].d = Float16(std::nanf(""));
    const float inverse = fits && std::isnormal(d) ? 1.0f / d : 0.0f;
    for (int i = 0; i < kQuantBlock; ++i) {
      out[b].q[i] = fits ? static_cast<std::int8_t>(std::rint(x_b[i] * inverse)) : std::int8_t{0};
    }
  }
}

}  // namespace

std::int64_t quantized_packed_size(QuantType type, int rows, int cols) {
  return std::int64_t{rows} * (cols / kQuantBlock) * block_bytes(type);
}

void quantized_pack(void* packed, const void* blocks, QuantType type, int rows, int cols) {
  check(cols % kQuantBlock == 0, "quantized_pack: rows must be multiples of 32 values");
  std::copy_n(static_cast<const std::byte*>(blocks), quantized_packed_size(type, rows, cols),
              static_cast<std::byte*>(packed));
}

std::int64_t quantized_scratch_size(int /*N*/, int /*rows*/, int cols) {
  const std::int64_t bytes = cols / kQuantBlock * std::int64_t{sizeof(BlockQ8_0)};
  return (bytes + 3) / 4;
}

void quantized_linear_forward(float* out, const float* x, const QuantizedMatrix& weight,
                              const float* bias, float* scratch, int N) {
  const std::int64_t rows = weight.rows, cols = weight.cols;
  check(cols % kQuantBlock == 0, "quantized_linear_forward: cols must be a multiple of 32");
  auto* x_n = reinterpret_cast<BlockQ8_0*>(scratch);
  for (std::int64_t n = 0; n < N; ++n) {
    float* out_n = out + n * rows;
    quantize_activations(x_n, x + n * cols, cols / kQuantBlock);
    if (weight.type == QuantType::q8_0) {
      matvec_q8_0(out_n, static_cast<const BlockQ8_0*>(weight.packed), x_n, weight.rows,
                  weight.cols);
    } else {
      matvec_q4_0(out_n, static_cast<const BlockQ4_0*>(weight.packed), x_n, weight.rows,
                  weight.cols);
    }
    for (std::int64_t o = 0; bias != nullptr && o < rows; ++o) out_n[o] += bias[o];
  }
}

}  // namespace tinygpt::mine
