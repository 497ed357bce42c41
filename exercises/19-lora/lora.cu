#include "exercises/19-lora/lora.cuh"

#include <cstdint>

#include "exercises/19-lora/lora_down.cuh"
#include "exercises/kernel.cuh"
#include "tinygpt/ops/lora.h"

namespace tinygpt::mine_cuda {

// out[n, o] += scale * sum_r ax[n, r] * b[o, r]
//
// A grid-stride loop, one thread for each value of out: neighbours add to neighbours.
template <class Real>
__global__ void lora_up_kernel(Real* out, const float* ax, const Real* b, int N, int OC, int stride,
                               int rank, float scale) {
  for (std::int64_t i = first_index(); i < std::int64_t{N} * OC; i += index_stride()) {
    const std::int64_t n = i / OC, o = i % OC;
    float sum = 0.0f;
    for (int r = 0; r < rank; ++r) sum += ax[n * rank + r] * to_float(b[o * rank + r]);
    add(out + n * stride + o, scale * sum);
  }
}

template <class Real>
void lora_forward(Real* out, float* ax, const Real* x, const Real* a, const Real* b,
                  float* /*scratch*/, int N, int C, int OC, int stride, int rank, float scale) {
  lora_down(ax, x, a, N, C, rank);
  const std::int64_t n = std::int64_t{N} * OC;
  if (n == 0) return;
  lora_up_kernel<<<blocks_for(n), kThreads>>>(out, ax, b, N, OC, stride, rank, scale);
  check_launch("lora_forward");
}

std::int64_t lora_scratch_size(int N, int /*C*/, int /*OC*/, int rank) {
  return std::int64_t{N} * rank;
}

// Differentiates out[n, o] += scale * sum_r ax[n, r] * b[o, r] by ax:
//   dax[n, r] = scale * sum_o dout[n, o] * b[o, r]
//
// One warp for each value of dax: its lanes go along the row of dout.
template <class Real>
__global__ void lora_dax_kernel(float* dax, const Real* dout, const Real* b, int N, int OC,
                                int stride, int rank, float scale) {
  const std::int64_t i = first_index() / kWarp;
  if (i >= std::int64_t{N} * rank) return;  // the whole warp
  const Real* dout_n = dout + i / rank * stride;
  const std::int64_t r = i % rank;
  float sum = 0.0f;
  for (int o = threadIdx.x % kWarp; o < OC; o += kWarp) {
    sum += to_float(dout_n[o]) * to_float(b[std::int64_t{o} * rank + r]);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) dax[i] = scale * sum;
}

// And by b:
//   db[o, r] += scale * sum_n dout[n, o] * ax[n, r]
//
// A grid-stride loop, one thread for each value of db: neighbours read neighbours of ax.
template <class Real>
__global__ void lora_db_kernel(float* db, const Real* dout, const float* ax, int N, int OC,
                               int stride, int rank, float scale) {
  for (std::int64_t i = first_index(); i < std::int64_t{OC} * rank; i += index_stride()) {
    const std::int64_t o = i / rank, r = i % rank;
    float sum = 0.0f;
    for (std::int64_t n = 0; n < N; ++n) sum += to_float(dout[n * stride + o]) * ax[n * rank + r];
    db[i] += scale * sum;
  }
}

// Differentiates ax[n, r] = sum_c x[n, c] * a[r, c] by a:
//   da[r, c] += sum_n dax[n, r] * x[n, c]
//
// A grid-stride loop, one thread for each value of da: neighbours read neighbours of x.
template <class Real>
__global__ void lora_da_kernel(float* da, const float* dax, const Real* x, int N, int C, int rank) {
  for (std::int64_t i = first_index(); i < std::int64_t{rank} * C; i += index_stride()) {
    const std::int64_t r = i / C, c = i % C;
    float sum = 0.0f;
    for (std::int64_t n = 0; n < N; ++n) sum += dax[n * rank + r] * to_float(x[n * C + c]);
    da[i] += sum;
  }
}

// And by x:
//   dx[n, c] += sum_r dax[n, r] * a[r, c]
//
// A grid-stride loop, one thread for each value of dx: neighbours read neighbours of a.
template <class Real>
__global__ void lora_dx_kernel(Real* dx, const float* dax, const Real* a, int N, int C, int rank) {
  for (std::int64_t i = first_index(); i < std::int64_t{N} * C; i += index_stride()) {
    const std::int64_t n = i / C, c = i % C;
    float sum = 0.0f;
    for (std::int64_t r = 0; r < rank; ++r) sum += dax[n * rank + r] * to_float(a[r * C + c]);
    add(dx + i, sum);
  }
}

template <class Real>
void lora_backward(Real* dx, float* da, float* db, const Real* dout, const float* ax, const Real* x,
                   const Real* a, const Real* b, float* scratch, int N, int C, int OC, int stride,
                   int rank, float scale) {
  const std::int64_t Nr = std::int64_t{N} * rank, bs = std::int64_t{OC} * rank;
  const std::int64_t as = std::int64_t{rank} * C, xs = std::int64_t{N} * C;
  if (Nr == 0) return;
  const auto warps = static_cast<unsigned>(ceil_div(Nr * kWarp, kThreads));
  lora_dax_kernel<<<warps, kThreads>>>(scratch, dout, b, N, OC, stride, rank, scale);
  check_launch("lora_backward, dax");
  if (bs > 0) {
    lora_db_kernel<<<blocks_for(bs), kThreads>>>(db, dout, ax, N, OC, stride, rank, scale);
    check_launch("lora_backward, db");
  }
  if (as == 0) return;
  lora_da_kernel<<<blocks_for(as), kThreads>>>(da, scratch, x, N, C, rank);
  check_launch("lora_backward, da");
  if (dx == nullptr) return;
  lora_dx_kernel<<<blocks_for(xs), kThreads>>>(dx, scratch, a, N, C, rank);
  check_launch("lora_backward, dx");
}

// weight[o, c] += scale * sum_r b[o, r] * a[r, c]
//
// A grid-stride loop, one thread for each weight: neighbours read neighbours of a.
template <class Real>
__global__ void lora_merge_kernel(Real* weight, const Real* a, const Real* b, int C, int OC,
                                  int rank, float scale) {
  for (std::int64_t i = first_index(); i < std::int64_t{OC} * C; i += index_stride()) {
    const std::int64_t o = i / C, c = i % C;
    float sum = 0.0f;
    for (std::int64_t r = 0; r < rank; ++r) {
      sum += to_float(b[o * rank + r]) * to_float(a[r * C + c]);
    }
    add(weight + i, scale * sum);
  }
}

template <class Real>
void lora_merge(Real* weight, const Real* a, const Real* b, int C, int OC, int rank, float scale) {
  const std::int64_t n = std::int64_t{OC} * C;
  if (n == 0) return;
  lora_merge_kernel<<<blocks_for(n), kThreads>>>(weight, a, b, C, OC, rank, scale);
  check_launch("lora_merge");
}

template LoraForward<float> lora_forward<float>;
template LoraForward<Bfloat16> lora_forward<Bfloat16>;
template LoraBackward<float> lora_backward<float>;
template LoraBackward<Bfloat16> lora_backward<Bfloat16>;
template LoraMerge<float> lora_merge<float>;
template LoraMerge<Bfloat16> lora_merge<Bfloat16>;

}  // namespace tinygpt::mine_cuda
