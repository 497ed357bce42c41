#include "tinygpt/cuda/table.cuh"

#include "solutions/table.cuh"
#include "tinygpt/cuda/attention.cuh"
#include "tinygpt/cuda/linear.cuh"
#include "tinygpt/cuda/table.h"
#include "tinygpt/simt/cuda.h"

namespace tinygpt::cuda {

// The reference's kernels, but where there is a faster one.
template <class Real>
Ops<Real> ops_of() {
  Ops<Real> table = ref_cuda::ops_of<Real>();
  table.linear_forward = linear_forward<Real>;
  table.linear_backward = linear_backward<Real>;
  table.linear_scratch_size = linear_scratch_size;
  table.linear_gelu_forward = linear_gelu_forward<Real>;
  table.attention_forward = attention_forward<Real>;
  table.attention_backward = attention_backward<Real>;
  return table;
}

template Ops<float> ops_of();
template Ops<Bfloat16> ops_of();

Ops<float> ops() { return ops_of<float>(); }
Ops<Bfloat16> bf16_ops() { return ops_of<Bfloat16>(); }

}  // namespace tinygpt::cuda
