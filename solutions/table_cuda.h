// The reference implementation as plain CUDA kernels. They are compiled twice: by nvcc for a GPU,
// where its toolkit is installed, and for the emulator in tinygpt/simt, always. The second time,
// the namespace gets another name, so that one program can hold both.
//
// All pointers that these operators take are the device's (tinygpt/simt/memory.h).
#pragma once

#include <string>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::ref_cuda {  // only where TINYGPT_HAS_CUDA

Ops<float> ops();
Ops<Bfloat16> bf16_ops();

// Why no GPU can be used here, in a few words; empty, if one can.
std::string unusable();

}  // namespace tinygpt::ref_cuda

namespace tinygpt::ref_cuda_emulated {

Ops<float> ops();
Ops<Bfloat16> bf16_ops();
std::string unusable();

}  // namespace tinygpt::ref_cuda_emulated

namespace tinygpt::ref_cuda_checked {  // not with thread sanitizing

Ops<float> ops();
Ops<Bfloat16> bf16_ops();

}  // namespace tinygpt::ref_cuda_checked
