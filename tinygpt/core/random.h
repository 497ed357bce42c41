// Counter-based random numbers: Philox 4x32 with 10 rounds.
// Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3" (2011), section 3.
//
// A counter-based generator is a function, not a sequence: number i of seed s can be computed by
// any thread, on any device, in any order. That is what makes a dropout mask the same on a CPU and
// on a GPU, lets the backward pass recompute it instead of storing it, and makes resuming exact:
// the whole state is (seed, counter).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "tinygpt/core/device.h"

namespace tinygpt {

// Four random words. (Not std::array, whose functions a GPU may not call.)
struct Philox4 {
  std::uint32_t words[4];

  TINYGPT_HOST_DEVICE constexpr std::uint32_t operator[](std::size_t i) const { return words[i]; }
  friend bool operator==(const Philox4&, const Philox4&) = default;
};

TINYGPT_HOST_DEVICE inline Philox4 philox4x32(std::uint64_t seed, std::uint64_t counter,
                                              std::uint64_t stream = 0) {
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  Philox4 c{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
            static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9;  // the Weyl constants of the paper: golden ratio and sqrt(3) - 1
    k1 += 0xBB67AE85;
  }
  return c;
}

// 24 random bits as a float in [0, 1): every value is exact.
TINYGPT_HOST_DEVICE inline float uniform_from_bits(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1.0p-24f;
}

// A sequence on top of Philox for host code. Copy it to save its state.
struct Random {
  std::uint64_t seed = 0;
  std::uint64_t counter = 0;
  std::uint64_t stream = 0;  // independent sequences under one seed: data, init, dropout, sampling

  std::uint64_t next_u64() {
    const Philox4 r = philox4x32(seed, counter++, stream);
    return (std::uint64_t{r[1]} << 32) | r[0];
  }

  // Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

  // Uniform in 0 .. n-1 without bias (values above the largest multiple of n are drawn again); n >
  // 0.
  std::uint64_t below(std::uint64_t n) {
    const std::uint64_t limit = ~std::uint64_t{0} - (~std::uint64_t{0} % n + 1) % n;
    std::uint64_t x = next_u64();
    while (x > limit) x = next_u64();
    return x % n;
  }

  // Standard normal, by the Box-Muller transform; both uniforms come from one counter.
  double normal() {
    const Philox4 r = philox4x32(seed, counter++, stream);
    const double u = (static_cast<double>(r[0]) + 1.0) * 0x1.0p-32;  // (0, 1]: log stays finite
    const double v = static_cast<double>(r[1]) * 0x1.0p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }
};

}  // namespace tinygpt
