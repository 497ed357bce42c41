// How a row of the cache is read on a device, in each of its types.
#pragma once

#include <cstdint>

#include "solutions/kernel.cuh"

namespace tinygpt::ref_cuda {

// The cached rows of k or of v, read as floats whatever they are kept in.
template <class Stored>
struct CachedRows {
  const Stored* values;
  const float* scales;  // int8 alone
  int HS;

  __device__ float at(std::int64_t row, int d) const { return to_float(values[row * HS + d]); }
};

template <>
struct CachedRows<std::int8_t> {
  const std::int8_t* values;
  const float* scales;
  int HS;

  __device__ float at(std::int64_t row, int d) const {
    return scales[row] * static_cast<float>(values[row * HS + d]);
  }
};

}  // namespace tinygpt::ref_cuda
