// The fast CUDA kernels as a table. Like the reference's (solutions/table_cuda.h) they are compiled
// for a GPU and for the emulator, under another namespace each.
//
// All pointers that these operators take are the device's (tinygpt/simt/memory.h).
#pragma once

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::cuda {  // only where TINYGPT_HAS_CUDA

Ops<float> ops();
Ops<Bfloat16> bf16_ops();

}  // namespace tinygpt::cuda

namespace tinygpt::cuda_emulated {

Ops<float> ops();
Ops<Bfloat16> bf16_ops();

}  // namespace tinygpt::cuda_emulated

namespace tinygpt::cuda_checked {  // not with thread sanitizing

Ops<float> ops();
Ops<Bfloat16> bf16_ops();

}  // namespace tinygpt::cuda_checked
