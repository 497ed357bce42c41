#include "tinygpt/cpu/table.h"

#include "solutions/table.h"
#include "tinygpt/cpu/kernels.h"

namespace tinygpt::cpu {

Ops<float> ops() {
  Ops<float> ops = ref::ops();
  ops.linear_forward = linear_forward;
  ops.linear_backward = linear_backward;
  ops.linear_scratch_size = linear_scratch_size;
  ops.linear_gelu_forward = linear_gelu_forward;
  return ops;
}

}  // namespace tinygpt::cpu
