// Dropout. Its cost is the random numbers: ten rounds of Philox for every four of them. Half a
// vector's lanes of counters go through the rounds side by side, one 32-bit word in each 64-bit
// lane, so that a product has room for its high half.
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/loops.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

constexpr int kCounters = std::max(kLanes / 2, 2);  // that run side by side
constexpr int kNumbers = 4 * kCounters;  // that they make: two vectors, where these have lanes

typedef std::uint64_t WordVec __attribute__((vector_size(kCounters * sizeof(std::uint64_t))));

WordVec all_words(std::uint64_t word) { return word - WordVec{}; }

// a * factor for words of 32 bits. x86 has the one instruction; GCC makes a chain of shifts and
// additions out of the product of 64-bit vectors instead, and dropout takes twice as long.
WordVec multiply(WordVec a, std::uint64_t factor) {
#if defined(__AVX512F__)
  return bit_cast_vec<WordVec>(_mm512_maskz_mul_epu32(
      0xFF, bit_cast_vec<__m512i>(a), _mm512_set1_epi64(static_cast<long long>(factor))));
#elif defined(__AVX2__)
  return bit_cast_vec<WordVec>(_mm256_mul_epu32(
      bit_cast_vec<__m256i>(a), _mm256_set1_epi64x(static_cast<long long>(factor))));
#else
  return a * all_words(factor);
#endif
}

// Half of the numbers: a UintVec, where these have lanes.
typedef std::uint32_t HalfNumbers __attribute__((vector_size(sizeof(WordVec))));

// Lanes alternate between a and b, from lane First of each on.
template <int First, std::size_t... I>
HalfNumbers interleave(WordVec a, WordVec b, std::index_sequence<I...>) {
#if defined(__clang__)
  return bit_cast_vec<HalfNumbers>(
      __builtin_shufflevector(a, b, (First + I / 2 + (I % 2) * kCounters)...));
#else
  typedef std::int64_t Indices __attribute__((vector_size(sizeof(WordVec))));
  return bit_cast_vec<HalfNumbers>(
      __builtin_shuffle(a, b, Indices{std::int64_t(First + I / 2 + (I % 2) * kCounters)...}));
#endif
}

struct Numbers {
  UintVec vectors[kNumbers / kLanes];
};

// Number i is philox4x32(seed, first + i / 4, stream)[i % 4], as core/random.h defines it.
Numbers philox_numbers(std::uint64_t seed, std::uint64_t first, std::uint64_t stream) {
  const WordVec low = all_words(0xFFFFFFFF);
  WordVec counter = all_words(first);
  for (int i = 0; i < kCounters; ++i) counter[i] += static_cast<std::uint64_t>(i);
  WordVec c0 = counter & low, c1 = counter >> 32;
  WordVec c2 = all_words(stream & 0xFFFFFFFF), c3 = all_words(stream >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const WordVec p0 = multiply(c0, 0xD2511F53);
    const WordVec p1 = multiply(c2, 0xCD9E8D57);
    c0 = (p1 >> 32) ^ c1 ^ all_words(k0);
    c1 = p1 & low;
    c2 = (p0 >> 32) ^ c3 ^ all_words(k1);
    c3 = p0 & low;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  const WordVec c01 = c0 | (c1 << 32), c23 = c2 | (c3 << 32);
  constexpr auto kAll = std::make_index_sequence<kCounters>{};
  const HalfNumbers halves[] = {interleave<0>(c01, c23, kAll),
                                interleave<kCounters / 2>(c01, c23, kAll)};
  Numbers numbers;
  std::memcpy(&numbers, halves, sizeof(numbers));
  return numbers;
}

// write(io, i, kept, scale) for every vector of values i: kept is true in lanes with u(i) >= p.
template <class Write>
void for_each_mask(std::int64_t n, float p, std::uint64_t seed, std::uint64_t stream,
                   Write&& write) {
  check(p >= 0.0f && p < 1.0f, "dropout: p must be at least 0 and less than 1");
  const float scale = 1.0f / (1.0f - p);
  parallel_ranges(n, kNumbers, 4, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i0 = begin; i0 < end; i0 += kNumbers) {
      const Numbers numbers = philox_numbers(seed, static_cast<std::uint64_t>(i0 / 4), stream);
      each_vector(i0, std::min(i0 + kNumbers, end), [=](auto io, std::int64_t i) {
        const UintVec words = numbers.vectors[(i - i0) / kLanes];
        const IntVec top = bit_cast_vec<IntVec>(words >> 8);  // 24 bits: exact as a float
        write(io, i, __builtin_convertvector(top, Vec) * 0x1.0p-24f >= p, scale);
      });
    }
  });
}

}  // namespace

void dropout_forward(float* out, const float* x, std::int64_t n, float p, std::uint64_t seed,
                     std::uint64_t stream) {
  for_each_mask(n, p, seed, stream, [=](auto io, std::int64_t i, IntVec kept, float scale) {
    io.store(out + i, kept ? io.load(x + i) * scale : Vec{});
  });
}

// out = x * mask / (1 - p): the same mask again.
void dropout_backward(float* dx, const float* dout, std::int64_t n, float p, std::uint64_t seed,
                      std::uint64_t stream) {
  const bool replace = dx == dout;
  for_each_mask(n, p, seed, stream, [=](auto io, std::int64_t i, IntVec kept, float scale) {
    const Vec d = kept ? io.load(dout + i) * scale : Vec{};
    io.store(dx + i, replace ? d : io.load(dx + i) + d);
  });
}

}  // namespace tinygpt::cpu
