// Device memory for each of the worlds in which kernels run.
#pragma once

#include "tinygpt/ops/memory.h"

namespace tinygpt::simt {

Memory emulated_memory();

// In tinygpt_simt_gpu, which exists where the CUDA toolkit does.
Memory gpu_memory();

}  // namespace tinygpt::simt
