#include "tinygpt/core/sha256.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tinygpt/core/file.h"

namespace tinygpt {
namespace {

// The first 32 bits of the fractional parts of the cube roots (of the square roots, for the start)
// of the first primes, as the standard defines them: computed instead of listed. Integer roots of
// prime * 2^(32 n) keep every bit exact.
struct Constants {
  std::array<std::uint32_t, 64> k{};
  std::array<std::uint32_t, 8> start{};
};

// The largest r with r^power <= n * 2^(32 * power), whose low 32 bits are the wanted fraction.
std::uint32_t root_fraction(unsigned n, int power) {
  using Wide = unsigned __int128;
  std::uint64_t root = 0;
  for (int bit = 36; bit >= 0; --bit) {
    const std::uint64_t trial = root | (std::uint64_t{1} << bit);
    // trial^power is compared with n << 32 power; for cubes that is up to 111 bits.
    const Wide square = Wide{trial} * trial;
    const Wide value = power == 2 ? square : square * trial;
    if (value <= Wide{n} << (32 * power)) root = trial;
  }
  return static_cast<std::uint32_t>(root);
}

Constants make_constants() {
  Constants constants;
  std::size_t count = 0;
  for (unsigned n = 2; count < 64; ++n) {
    bool prime = true;
    for (unsigned d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    constants.k[count] = root_fraction(n, 3);
    if (count < 8) constants.start[count] = root_fraction(n, 2);
    ++count;
  }
  return constants;
}

void add_block(std::array<std::uint32_t, 8>& state, const unsigned char* block,
               const Constants& constants) {
  std::array<std::uint32_t, 64> w{};
  for (std::size_t t = 0; t < 16; ++t) {
    w[t] = std::uint32_t{block[4 * t]} << 24 | std::uint32_t{block[4 * t + 1]} << 16 |
           std::uint32_t{block[4 * t + 2]} << 8 | std::uint32_t{block[4 * t + 3]};
  }
  for (std::size_t t = 16; t < 64; ++t) {
    const std::uint32_t a = w[t - 15], b = w[t - 2];
    const std::uint32_t s0 = std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3);
    const std::uint32_t s1 = std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10);
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t t = 0; t < 64; ++t) {
    const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + constants.k[t] + w[t];
    const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const std::array<std::uint32_t, 8> sum = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) state[i] += sum[i];
}

}  // namespace

std::string sha256(std::string_view data) {
  const Constants constants = make_constants();
  std::array<std::uint32_t, 8> state = constants.start;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  std::size_t at = 0;
  for (; at + 64 <= data.size(); at += 64) add_block(state, bytes + at, constants);
  // The end: the rest, a 1 bit, zeros, and the length in bits.
  std::array<unsigned char, 128> tail{};
  const std::size_t rest = data.size() - at;
  if (rest > 0) std::memcpy(tail.data(), bytes + at, rest);  // an empty text may lie nowhere
  tail[rest] = 0x80;
  const std::size_t end = rest + 9 <= 64 ? 64 : 128;
  const std::uint64_t bits = std::uint64_t{data.size()} * 8;
  for (std::size_t i = 0; i < 8; ++i)
    tail[end - 1 - i] = static_cast<unsigned char>(bits >> (8 * i));
  for (std::size_t i = 0; i < end; i += 64) add_block(state, tail.data() + i, constants);
  std::string digest;
  for (const std::uint32_t word : state) digest += fmt::format("{:08x}", word);
  return digest;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace tinygpt
