// Dropout. Its cost is the random numbers: ten rounds of Philox for every four of them. Several
// counters go through the rounds side by side, which compilers turn into vector multiplications.
#include <algorithm>

#include "tinygpt/core/random.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

constexpr int kCounters = 16;            // that run side by side
constexpr int kNumbers = 4 * kCounters;  // that they make

// bits[i] = philox4x32(seed, first + i / 4, stream)[i % 4], as core/random.h defines it.
void philox_numbers(std::uint32_t* bits, std::uint64_t seed, std::uint64_t first,
                    std::uint64_t stream) {
  std::uint32_t c0[kCounters], c1[kCounters], c2[kCounters], c3[kCounters];
  for (int i = 0; i < kCounters; ++i) {
    const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
    c0[i] = static_cast<std::uint32_t>(counter);
    c1[i] = static_cast<std::uint32_t>(counter >> 32);
    c2[i] = static_cast<std::uint32_t>(stream);
    c3[i] = static_cast<std::uint32_t>(stream >> 32);
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kCounters; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0[i];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<std::uint32_t>(p1);
      c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  for (int i = 0; i < kCounters; ++i) {
    bits[4 * i] = c0[i];
    bits[4 * i + 1] = c1[i];
    bits[4 * i + 2] = c2[i];
    bits[4 * i + 3] = c3[i];
  }
}

// write(i, keep) with keep = 0 or 1 / (1 - p), for every i < n.
template <class Write>
void for_each_mask(std::int64_t n, float p, std::uint64_t seed, std::uint64_t stream,
                   Write&& write) {
  const float scale = 1.0f / (1.0f - p);
  parallel_ranges(n, kNumbers, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i0 = begin; i0 < end; i0 += kNumbers) {
      std::uint32_t bits[kNumbers];
      philox_numbers(bits, seed, static_cast<std::uint64_t>(i0 / 4), stream);
      const int count = static_cast<int>(std::min<std::int64_t>(kNumbers, end - i0));
      for (int i = 0; i < count; ++i) {
        write(i0 + i, uniform_from_bits(bits[i]) < p ? 0.0f : scale);
      }
    }
  });
}

}  // namespace

void dropout_forward(float* out, const float* x, std::int64_t n, float p, std::uint64_t seed,
                     std::uint64_t stream) {
  for_each_mask(n, p, seed, stream,
                [=](std::int64_t i, float keep) { out[i] = keep == 0.0f ? 0.0f : x[i] * keep; });
}

// out = x * mask / (1 - p): the same mask again.
void dropout_backward(float* dx, const float* dout, std::int64_t n, float p, std::uint64_t seed,
                      std::uint64_t stream) {
  const bool replace = dx == dout;
  for_each_mask(n, p, seed, stream, [=](std::int64_t i, float keep) {
    const float d = keep == 0.0f ? 0.0f : dout[i] * keep;
    dx[i] = replace ? d : dx[i] + d;
  });
}

}  // namespace tinygpt::cpu
