// Weights in eight and in four bits: blocks of 32 values that share a scale, laid out as ggml lays
// them out, so that a file of them opens in other programs.
//
// Q8_0: d = max |x| / 127,  q[i] = round(x[i] / d),  x'[i] = d * q[i]          34 bytes, 8.5 bits
// Q4_0: d = m / -8, m the value of largest magnitude, with its sign,
//       q[i] = min(15, floor(x[i] / d + 8.5)),  x'[i] = d * (q[i] - 8)         18 bytes, 4.5 bits
//
// Q4_0 has 16 steps, -8 to 7. The largest value becomes -8, the step that has no counterpart, and
// so nothing of the range is lost whatever its sign. d is kept in half precision; q is found with
// the float d, as ggml does.
#pragma once

#include <cstdint>
#include <functional>

#include "tinygpt/core/float16.h"

namespace tinygpt {

inline constexpr int kQuantBlock = 32;  // values that share a scale

struct BlockQ8_0 {
  Float16 d;
  std::int8_t q[kQuantBlock];
};
static_assert(sizeof(BlockQ8_0) == 34);

struct BlockQ4_0 {
  Float16 d;
  std::uint8_t q[kQuantBlock / 2];  // value i in the low half of byte i, value i + 16 in the high
};
static_assert(sizeof(BlockQ4_0) == 18);

// out [n / 32] written, x [n]. n is a multiple of 32; throws Error where it is not, and on values
// that are not finite or whose scale is beyond half precision. A block of zeros has d = 0.
using QuantizeQ8_0 = void(BlockQ8_0* out, const float* x, std::int64_t n);
using QuantizeQ4_0 = void(BlockQ4_0* out, const float* x, std::int64_t n);

// out [n] written, x [n / 32].
using DequantizeQ8_0 = void(float* out, const BlockQ8_0* x, std::int64_t n);
using DequantizeQ4_0 = void(float* out, const BlockQ4_0* x, std::int64_t n);

// The rest rounds with the inputs of a layer in mind. Rounding changes a row w of its weight by e,
// and so the layer's output for an input x by e x. Over the inputs of a calibration text the
// squares of that sum to e H e^T, H = sum_n x_n^T x_n: all that has to be known of the inputs. H is
// called the Hessian, since 2 H holds the second derivatives of that sum.

// GPTQ: columns are rounded one after another, and the weights of the columns to come make up for
// each one's error. Frantar et al.: "GPTQ" (2022), section 3.
//
// out      [rows, cols / 32]  written; on the grid of Q4_0, whose scale is found when a block's
//                             first column comes, from the weights as they stand then
// weight   [rows, cols]
// hessian  [cols, cols]       sum_n x_n^T x_n
// damping                     times the mean of H's diagonal is added to that diagonal: 0.01
// Throws Error where cols is no multiple of 32, or the damped Hessian is not positive definite.
using GptqQuantize = void(BlockQ4_0* out, const float* weight, const double* hessian, int rows,
                          int cols, double damping);

// Puts every row on the grid: out = what is left of weight [rows, cols] in so many bits, in place.
using RoundRows = std::function<void(float* weight, int rows, int cols)>;

// AWQ: columns that meet large inputs are made larger before they are rounded, and their inputs
// smaller by as much, which changes nothing but what rounding does to them. Gives the power alpha.
// Lin et al.: "AWQ" (2023), section 3.2.
//
// scales      [cols]        written; greater than 0
// weight      [rows, cols]
// activation  [cols]        mean_n |x_n|
// hessian     [cols, cols]  sum_n x_n^T x_n
using AwqScales = double(float* scales, const float* weight, const float* activation,
                         const double* hessian, const RoundRows& round, int rows, int cols);

// One row of activations times a weight matrix, blocks times blocks: out [rows] written, weight
// [rows, cols / 32], x [cols / 32].
//
// out[o] = sum_b dw[o, b] * dx[b] * sum_i qw[o, b, i] * qx[b, i]
using MatvecQ8_0 = void(float* out, const BlockQ8_0* weight, const BlockQ8_0* x, int rows,
                        int cols);
using MatvecQ4_0 = void(float* out, const BlockQ4_0* weight, const BlockQ8_0* x, int rows,
                        int cols);

// A linear layer's weight in blocks. Implementations read it in an order of their own (tiles of
// rows for vector instructions, say), so it is packed once, when a model is loaded.
enum class QuantType { q8_0, q4_0 };

struct QuantizedMatrix {
  QuantType type = QuantType::q8_0;
  int rows = 0;                  // OC
  int cols = 0;                  // C, a multiple of 32
  const void* packed = nullptr;  // quantized_packed_size(...) bytes that quantized_pack wrote
};

// Bytes of a packed matrix, and the packing. `blocks` are the rows one after another, as a file has
// them, in host memory; `packed` is the device's memory, aligned to 64 bytes.
using QuantizedPackedSize = std::int64_t(QuantType type, int rows, int cols);
using QuantizedPack = void(void* packed, const void* blocks, QuantType type, int rows, int cols);

// out[n, o] = (bias ? bias[o] : 0) + sum_b dw[o, b] * dx[n, b] * sum_i qw[o, b, i] * qx[n, b, i]
//
// The activations are quantized first, to Q8_0: 32 at a time with a scale of their own, so that the
// inner sum is one of integers. That is what ggml does for both types. qx is x / d to the nearest,
// ties to even. A block with NaN, or so large that half precision has no scale for it, makes its
// row's results NaN.
//
// out     [N, weight.rows]  written
// x       [N, weight.cols]
// bias    [weight.rows], or nullptr for none
// scratch                   quantized_scratch_size(...) floats
template <class Real>
using QuantizedLinearForward = void(Real* out, const Real* x, const QuantizedMatrix& weight,
                                    const float* bias, float* scratch, int N);
using QuantizedScratchSize = std::int64_t(int N, int rows, int cols);

}  // namespace tinygpt
