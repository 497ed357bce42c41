// What the matrix products have in common: how a factor lies in memory, and what becomes of a sum.
#pragma once

#include <cstdint>

#include "solutions/kernel.cuh"

namespace tinygpt::cuda {

using ref_cuda::ceil_div;
using ref_cuda::store;
using ref_cuda::to_float;

// A product is out[m, n] = sum_k a(m, k) * b(n, k). Each factor has `rows` rows (M or N) of depth
// K, and lies in memory with one of the two innermost: both are common in a linear layer.
enum class Inner { k, row };

template <class Real>
struct Operand {
  const Real* data;
  int rows, K;
};

template <Inner kInner, class Real>
__device__ const Real* address(const Operand<Real>& a, int row, int k) {
  return kInner == Inner::k ? a.data + std::int64_t{row} * a.K + k
                            : a.data + std::int64_t{k} * a.rows + row;
}

// The value at (row, k), and 0 outside, where a product is as if there were nothing.
template <Inner kInner, class Real>
__device__ Real value_or_zero(const Operand<Real>& a, int row, int k, int k_end) {
  return row < a.rows && k < k_end ? *address<kInner>(a, row, k) : Real{};
}

// out = bias + sum
template <class Real>
struct Write {
  Real* out;
  const Real* bias;
  __device__ void operator()(std::int64_t at, int n, float sum) const {
    store(out + at, sum + (bias != nullptr ? to_float(bias[n]) : 0.0f));
  }
};

// pre = bias + sum, out = gelu(pre), in the same registers: a pass over memory less. The GELU is of
// what was stored, as that of the operator by itself.
template <class Real>
struct WriteGelu {
  Real *out, *pre;
  const Real* bias;
  __device__ void operator()(std::int64_t at, int n, float sum) const {
    Write<Real>{pre, bias}(at, n, sum);
    const float z = to_float(pre[at]);
    const float u = 0.7978845608028654f * (z + 0.044715f * z * z * z);
    store(out + at, 0.5f * z * (1.0f + tanhf(u)));
  }
};

// out += sum
template <class Out>
struct Accumulate {
  Out* out;
  __device__ void operator()(std::int64_t at, int /*n*/, float sum) const {
    ref_cuda::add(out + at, sum);
  }
};

// One value of a product: finished, or, where K is split among blocks, left in scratch as this
// block's part.
struct Split {
  float* parts;  // [splits, M, N]
  int depth;     // of K for each; gridDim.z blocks share a tile
};

template <class Finish>
__device__ void finish_value(const Finish& finish, const Split& split, int m, int n, int M, int N,
                             float sum) {
  if (m >= M || n >= N) return;
  const std::int64_t at = std::int64_t{m} * N + n;
  if (gridDim.z == 1) {
    finish(at, n, sum);
  } else {
    split.parts[std::int64_t{blockIdx.z} * M * N + at] = sum;
  }
}

}  // namespace tinygpt::cuda
