// Loads and stores of 16 bytes: four floats or eight bf16 at once.
#pragma once

#include <cstdint>
#include <cstring>

#include "solutions/kernel.cuh"

namespace tinygpt::cuda {

using ref_cuda::store;
using ref_cuda::to_float;

template <class Real>
inline constexpr int kPack = 16 / static_cast<int>(sizeof(Real));

// kCount is 1, or kPack<Real> where `from` is aligned to 16 bytes.
template <int kCount, class Real>
__device__ void load_pack(float (&values)[kCount], const Real* from) {
  if constexpr (kCount == 1) {
    values[0] = to_float(*from);
  } else {
    const uint4 words = *reinterpret_cast<const uint4*>(from);
    __align__(16) Real all[kCount];
    memcpy(all, &words, sizeof(words));
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] = to_float(all[i]);
  }
}

template <int kCount, class Real>
__device__ void store_pack(Real* to, const float (&values)[kCount]) {
  if constexpr (kCount == 1) {
    store(to, values[0]);
  } else {
    __align__(16) Real all[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) store(&all[i], values[i]);
    std::uint32_t words[4];
    memcpy(words, all, sizeof(words));
    *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
  }
}

// The calling block's threads visit all values of a row: visit.template operator()<kCount>(first).
// A row that begins between two borders (of 50,257 logits, say, seven of eight do) has single
// values at either end.
template <class Real, class Visit>
__device__ void visit_row(const Real* x, int n, Visit&& visit) {
  constexpr int kCount = kPack<Real>;
  const int past = reinterpret_cast<std::uintptr_t>(x) / sizeof(Real) % kCount;
  const int head = min(n, (kCount - past) % kCount), packs = (n - head) / kCount;
  for (int i = threadIdx.x; i < packs; i += blockDim.x) {
    visit.template operator()<kCount>(head + i * kCount);
  }
  const int singles = n - packs * kCount;
  for (int i = threadIdx.x; i < singles; i += blockDim.x) {
    visit.template operator()<1>(i < head ? i : packs * kCount + i);
  }
}

}  // namespace tinygpt::cuda
