// Norms, with the addition to the residual stream that comes before them in the same pass.
//
// A warp has a row to itself, so that sums need no barrier, and reads 16 bytes at a time. The row
// is read again for each sum, from the cache: what counts is that memory sees it once, and the sum
// of a and b is on its way out while it is normalised.
#include <cstdint>
#include <initializer_list>

#include "solutions/kernel.cuh"
#include "tinygpt/cuda/packs.cuh"
#include "tinygpt/cuda/rows.cuh"
#include "tinygpt/ops/fused.h"
#include "tinygpt/ops/layernorm.h"
#include "tinygpt/ops/rmsnorm.h"

namespace tinygpt::cuda {

// One row's norm: x, or a + b, which is written to sum.
template <class Real>
struct NormRows {
  Real *out, *sum;
  float *mean, *rstd;
  const Real *a, *b, *weight, *bias;  // b and bias may be nullptr
  int N, C;
  float eps;
};

namespace {

using ref_cuda::kWarp;
using ref_cuda::warp_sum;

constexpr int kRowsPerBlock = 4;

// visit(first) for the lane's packs of a row
template <int kCount, class Visit>
__device__ void lane_packs(int C, Visit&& visit) {
  for (int c = threadIdx.x % kWarp * kCount; c < C; c += kWarp * kCount) visit(c);
}

template <int kCount, class Real>
__device__ void add_rows(Real* sum, const Real* a, const Real* b, int C) {
  lane_packs<kCount>(C, [&](int c) {
    float of_a[kCount], of_b[kCount];
    load_pack(of_a, a + c);
    load_pack(of_b, b + c);
#pragma unroll
    for (int i = 0; i < kCount; ++i) of_a[i] += of_b[i];
    store_pack(sum + c, of_a);
  });
}

template <int kCount, class Real, class Term>
__device__ float row_total(const Real* x, int C, Term&& term) {
  float total = 0.0f;
  lane_packs<kCount>(C, [&](int c) {
    float values[kCount];
    load_pack(values, x + c);
#pragma unroll
    for (int i = 0; i < kCount; ++i) total += term(values[i]);
  });
  return warp_sum(total);
}

// kCentered: LayerNorm; else RMSNorm. The bounds' 1: room for one block a multiprocessor will do.
// Left to itself, ptxas spills registers to make room for more.
template <bool kCentered, int kCount, class Real>
__global__ void __launch_bounds__(kRowsPerBlock* kWarp, 1) norm_forward_kernel(NormRows<Real> r) {
  const std::int64_t n = std::int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.x / kWarp;
  if (n >= r.N) return;
  const int C = r.C;
  const Real* x = r.a + n * C;
  if (r.b != nullptr) {
    add_rows<kCount>(r.sum + n * C, x, r.b + n * C, C);
    x = r.sum + n * C;  // as it was rounded; each lane reads what it wrote
    __syncwarp();       // but for the first value, which lane 0 wrote
  }
  float mean = 0.0f;
  if constexpr (kCentered) {
    // From the row's first value on: around a large mean, a sum of x itself would have no digits
    // left for what the values differ by.
    const float origin = to_float(x[0]);
    mean = origin + row_total<kCount>(x, C, [&](float v) { return v - origin; }) / C;
  }
  const float squares = row_total<kCount>(x, C, [&](float v) { return (v - mean) * (v - mean); });
  const float rstd = 1.0f / sqrtf(squares / C + r.eps);
  lane_packs<kCount>(C, [&](int c) {
    float values[kCount], weight[kCount], bias[kCount] = {};
    load_pack(values, x + c);
    load_pack(weight, r.weight + c);
    if (r.bias != nullptr) load_pack(bias, r.bias + c);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      values[i] = (values[i] - mean) * rstd * weight[i] + bias[i];
    }
    store_pack(r.out + n * C + c, values);
  });
  if (threadIdx.x % kWarp != 0) return;
  if constexpr (kCentered) r.mean[n] = mean;
  r.rstd[n] = rstd;
}

template <bool kCentered, class Real>
void norm_forward(const NormRows<Real>& r, const char* what) {
  if (r.N == 0 || r.C == 0) return;
  bool aligned = r.C % kPack<Real> == 0;
  for (const Real* x : {static_cast<const Real*>(r.out), static_cast<const Real*>(r.sum), r.a, r.b,
                        r.weight, r.bias}) {
    aligned = aligned && reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  }
  const auto blocks = static_cast<unsigned>(ref_cuda::ceil_div(r.N, kRowsPerBlock));
  constexpr int kThreads = kRowsPerBlock * kWarp;
  if (aligned) {
    norm_forward_kernel<kCentered, kPack<Real>, Real><<<blocks, kThreads>>>(r);
  } else {
    norm_forward_kernel<kCentered, 1, Real><<<blocks, kThreads>>>(r);
  }
  ref_cuda::check_launch(what);
}

}  // namespace

template <class Real>
void layernorm_forward(Real* out, float* mean, float* rstd, const Real* x, const Real* weight,
                       const Real* bias, int N, int C, float eps) {
  norm_forward<true, Real>({out, nullptr, mean, rstd, x, nullptr, weight, bias, N, C, eps},
                           "layernorm_forward");
}

template <class Real>
void rmsnorm_forward(Real* out, float* rstd, const Real* x, const Real* weight, int N, int C,
                     float eps) {
  norm_forward<false, Real>({out, nullptr, nullptr, rstd, x, nullptr, weight, nullptr, N, C, eps},
                            "rmsnorm_forward");
}

template <class Real>
void residual_layernorm_forward(Real* out, Real* sum, float* mean, float* rstd, const Real* a,
                                const Real* b, const Real* weight, const Real* bias, int N, int C,
                                float eps) {
  norm_forward<true, Real>({out, sum, mean, rstd, a, b, weight, bias, N, C, eps},
                           "residual_layernorm_forward");
}

template <class Real>
void residual_rmsnorm_forward(Real* out, Real* sum, float* rstd, const Real* a, const Real* b,
                              const Real* weight, int N, int C, float eps) {
  norm_forward<false, Real>({out, sum, nullptr, rstd, a, b, weight, nullptr, N, C, eps},
                            "residual_rmsnorm_forward");
}

template LayernormForward<float> layernorm_forward<float>;
template LayernormForward<Bfloat16> layernorm_forward<Bfloat16>;
template RmsnormForward<float> rmsnorm_forward<float>;
template RmsnormForward<Bfloat16> rmsnorm_forward<Bfloat16>;
template ResidualLayernormForward<float> residual_layernorm_forward<float>;
template ResidualLayernormForward<Bfloat16> residual_layernorm_forward<Bfloat16>;
template ResidualRmsnormForward<float> residual_rmsnorm_forward<float>;
template ResidualRmsnormForward<Bfloat16> residual_rmsnorm_forward<Bfloat16>;

}  // namespace tinygpt::cuda
