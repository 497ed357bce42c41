// The fast implementation for CPUs: blocked, vectorised, threaded, fused.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt::cpu {

// A copy of the reference table in which every operator that is done faster here is replaced. Where
// a build has several levels of instructions, the kernels are those of the chosen one (levels.h).
Ops<float> ops();

// The same, with linear layers whose products are of bf16: x, weight and dout are each rounded to
// the nearest bf16 where they are a factor of a product, and the products summed in float. Biases,
// what is accumulated to, and all other operators are as above, attention's products too. It is
// what PyTorch calls torch.set_float32_matmul_precision("medium"). Products are nearly twice as
// fast where the processor multiplies pairs of bf16; elsewhere they round as much, and rounding
// costs 1 to 5% (operands.h).
Ops<float> bf16_product_ops();

}  // namespace tinygpt::cpu
