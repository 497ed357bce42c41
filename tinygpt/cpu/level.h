// What this folder's kernels are from outside, once for each instruction set that they are compiled
// for (levels.h). Where there are several, each has a namespace of its own in the place of `cpu`.
#pragma once

#include "tinygpt/ops/ops.h"

namespace tinygpt {

struct CpuKernels {
  Ops<float> ops, bf16_product_ops;           // table.h
  double (*measure_peak_flops)(int threads);  // peak.h
};

namespace cpu {

// The one way in: every other function of this folder is out of sight from outside.
CpuKernels compiled_kernels();

double measure_vector_peak(int threads);

}  // namespace cpu
}  // namespace tinygpt
