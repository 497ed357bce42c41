// The linear layer for a handful of rows: generation, one token at a time.
#pragma once

#include <cstdint>

namespace tinygpt::cpu {

// Up to this many rows the product is bound by reading the weight, and packing it (which reads and
// writes it once more) costs more than it gains.
inline constexpr int kFewRows = 16;

// out[n, o] = (bias ? bias[o] : 0) + sum_c x[n, c] * weight[o, c]   for n < N, as in ops/linear.h
void linear_forward_few_rows(float* out, const float* x, const float* weight, const float* bias,
                             int N, int C, int OC);

}  // namespace tinygpt::cpu
