#include "bench/bf16.h"

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/cuda/table.cuh"
#include "tinygpt/simt/cuda.h"

namespace tinygpt::cuda {
namespace {

using Half = Bfloat16;

void forward(void* out, const void* x, const void* weight, float* scratch, int N, int C, int OC) {
  ops_of<Half>().linear_forward(static_cast<Half*>(out), static_cast<const Half*>(x),
                                static_cast<const Half*>(weight), nullptr, scratch, N, C, OC);
}

void backward(void* dx, float* dweight, const void* dout, const void* x, const void* weight,
              float* scratch, int N, int C, int OC) {
  ops_of<Half>().linear_backward(static_cast<Half*>(dx), dweight, nullptr,
                                 static_cast<const Half*>(dout), static_cast<const Half*>(x),
                                 static_cast<const Half*>(weight), scratch, N, C, OC);
}

std::int64_t scratch_size(int N, int C, int OC) {
  return ops_of<Half>().linear_scratch_size(N, C, OC);
}

}  // namespace

bench::Bf16Linear bf16_linear() { return {forward, backward, scratch_size}; }

}  // namespace tinygpt::cuda
