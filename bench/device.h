// What the benchmarks need of a device, whose memory the host cannot read.
#pragma once

#include <cstdint>
#include <functional>

#include "tinygpt/model/gpt.h"

namespace tinygpt::bench {

// Uniform values in -0.5 .. 0.5. They repeat after a million, which no timing can tell.
DeviceBuffer random_floats(const Memory& memory, std::int64_t n, std::uint64_t seed);
// The same as bf16, which is a float's upper half.
DeviceBuffer random_bf16(const Memory& memory, std::int64_t n, std::uint64_t seed);
DeviceBuffer zeros(const Memory& memory, std::int64_t bytes);

inline float* floats(const DeviceBuffer& buffer) { return static_cast<float*>(buffer.data()); }

template <class Real>
Real* values(const DeviceBuffer& buffer) {
  return static_cast<Real*>(buffer.data());
}

// Waits for the device, by a copy of four bytes. On the host, whose calls return when they are
// done, it costs nothing worth knowing.
std::function<void()> waiting(const Memory& memory);

}  // namespace tinygpt::bench
