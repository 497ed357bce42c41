// The linear layer in bf16, for code that does not know the type.
#pragma once

#include <cstdint>

namespace tinygpt::bench {

struct Bf16Linear {
  void (*forward)(void* out, const void* x, const void* weight, float* scratch, int N, int C,
                  int OC);
  void (*backward)(void* dx, float* dweight, const void* dout, const void* x, const void* weight,
                   float* scratch, int N, int C, int OC);
  std::int64_t (*scratch_size)(int N, int C, int OC);
};

}  // namespace tinygpt::bench

namespace tinygpt::cuda {  // only where TINYGPT_HAS_CUDA

bench::Bf16Linear bf16_linear();

}  // namespace tinygpt::cuda

namespace tinygpt::cuda_emulated {

bench::Bf16Linear bf16_linear();

}  // namespace tinygpt::cuda_emulated
