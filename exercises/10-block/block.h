// Lesson 10: the parts that keep a deep model trainable, and its MLP's gate.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// Contracts: layernorm.h, rmsnorm.h, swiglu.h, residual.h and dropout.h in tinygpt/ops/.
void layernorm_forward(float* out, float* mean, float* rstd, const float* x, const float* weight,
                       const float* bias, int N, int C, float eps);
void layernorm_backward(float* dx, float* dweight, float* dbias, const float* dout, const float* x,
                        const float* weight, const float* mean, const float* rstd, float* scratch,
                        int N, int C);
void rmsnorm_forward(float* out, float* rstd, const float* x, const float* weight, int N, int C,
                     float eps);
void rmsnorm_backward(float* dx, float* dweight, const float* dout, const float* x,
                      const float* weight, const float* rstd, float* scratch, int N, int C);
std::int64_t norm_scratch_size(int N, int C);
void swiglu_forward(float* out, const float* x, int N, int H);
void swiglu_backward(float* dx, const float* dout, const float* x, int N, int H);
void residual_forward(float* out, const float* a, const float* b, std::int64_t n);
void residual_backward(float* da, float* db, const float* dout, std::int64_t n);
void dropout_forward(float* out, const float* x, std::int64_t n, float p, std::uint64_t seed,
                     std::uint64_t stream);
void dropout_backward(float* dx, const float* dout, std::int64_t n, float p, std::uint64_t seed,
                      std::uint64_t stream);

}  // namespace tinygpt::mine
