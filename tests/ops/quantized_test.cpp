#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/ops/quantized_cases.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tinygpt/core/random.h"

namespace tinygpt::test {
namespace {

struct Activations {
  std::vector<int> q;  // [N, cols]
  Values d;            // [N, cols / 32]
};

// What the contract says of x, in its own arithmetic: that is part of the formula.
Activations quantized(const Values& x) {
  Activations a;
  for (std::size_t b = 0; b < x.size(); b += kQuantBlock) {
    float largest = 0.0f;
    for (int i = 0; i < kQuantBlock; ++i) {
      largest =
          std::max(largest, static_cast<float>(std::fabs(x[b + static_cast<std::size_t>(i)])));
    }
    const float d = largest / 127.0f;
    const float inverse = d > 0.0f ? 1.0f / d : 0.0f;
    a.d.push_back(static_cast<double>(Float16(d)));
    for (std::size_t i = 0; i < kQuantBlock; ++i) {
      const float steps = static_cast<float>(x[b + i]) * inverse;
      a.q.push_back(static_cast<int>(std::nearbyint(steps)));
    }
  }
  return a;
}

// out[n, o] = bias[o] + sum_b dw dx sum_i qw qx, and the magnitudes that are added: integers may be
// summed four at a time, each four scaled for itself, as dp4a's lanes do.
struct Expected {
  Values value, magnitude;
};

Expected equation(const QuantizedCase& c, bool with_bias) {
  const Activations a = quantized(c.x);
  const std::size_t blocks = static_cast<std::size_t>(c.cols / kQuantBlock);
  Expected e;
  for (std::size_t n = 0; n < static_cast<std::size_t>(c.N); ++n) {
    for (std::size_t o = 0; o < static_cast<std::size_t>(c.rows); ++o) {
      double sum = with_bias ? c.bias[o] : 0.0, magnitude = std::fabs(sum);
      for (std::size_t b = 0; b < blocks; ++b) {
        const double scale = c.weight_d[o * blocks + b] * a.d[n * blocks + b];
        for (std::size_t i = 0; i < kQuantBlock; i += 4) {
          int dot = 0;
          for (std::size_t k = i; k < i + 4; ++k) {
            dot += c.weight_q[(o * blocks + b) * kQuantBlock + k] *
                   a.q[(n * blocks + b) * kQuantBlock + k];
          }
          sum += scale * dot;
          magnitude += std::fabs(scale * dot);
        }
      }
      e.value.push_back(sum);
      e.magnitude.push_back(magnitude);
    }
  }
  return e;
}

template <class Block>
void append(std::vector<std::uint8_t>& bytes, const Block& block) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(&block);
  bytes.insert(bytes.end(), from, from + sizeof(block));
}

void add_q8_0(QuantizedCase& c, Float16 d, Random& random) {
  BlockQ8_0 block{.d = d, .q = {}};
  for (std::int8_t& q : block.q) {
    q = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
    c.weight_q.push_back(q);
  }
  append(c.blocks, block);
}

void add_q4_0(QuantizedCase& c, Float16 d, Random& random) {
  BlockQ4_0 block{.d = d, .q = {}};
  for (std::uint8_t& q : block.q) q = static_cast<std::uint8_t>(random.below(256));
  for (const std::uint8_t q : block.q) c.weight_q.push_back((q & 15) - 8);
  for (const std::uint8_t q : block.q) c.weight_q.push_back((q >> 4) - 8);
  append(c.blocks, block);
}

struct Size {
  int N, rows, cols;
};
const std::vector<Size> kSizes = {
    {1, 1, 32},     {1, 16, 32},  {2, 15, 64},   {3, 17, 96},   {4, 33, 32},    {5, 7, 160},
    {6, 48, 64},    {7, 31, 224}, {8, 64, 128},  {9, 50, 32},   {11, 19, 96},   {12, 16, 64},
    {13, 40, 32},   {25, 18, 64}, {40, 129, 96}, {20, 49, 512}, {37, 260, 512}, {1, 700, 768},
    {600, 20, 768}, {0, 8, 32},   {3, 0, 32},    {2, 5, 0}};

}  // namespace

QuantizedCase quantized_case(QuantType type, int N, int rows, int cols) {
  QuantizedCase c{.type = type,
                  .N = N,
                  .rows = rows,
                  .cols = cols,
                  .blocks = {},
                  .weight_q = {},
                  .weight_d = {},
                  .x = {},
                  .bias = {}};
  Random random{.seed = 31 + test_seed()};
  const std::int64_t blocks = std::int64_t{rows} * cols / kQuantBlock;
  for (std::int64_t b = 0; b < blocks; ++b) {
    // Scales of both signs, as Q4_0 has, and none now and then.
    const auto d = Float16(b % 11 == 5 ? 0.0f : static_cast<float>(random.uniform()) - 0.5f);
    c.weight_d.push_back(static_cast<double>(d));
    type == QuantType::q8_0 ? add_q8_0(c, d, random) : add_q4_0(c, d, random);
  }
  c.x = random_values(std::int64_t{N} * cols, 32);
  for (std::size_t i = 0; i < c.x.size(); i += 96) {
    for (std::size_t k = i; k < std::min(i + 32, c.x.size()); ++k) {
      c.x[k] = i % 192 == 0 ? 0.0 : -std::fabs(c.x[k]);  // blocks of zeros, and of one sign
    }
  }
  c.bias = random_values(rows, 33, 10.0);
  return c;
}

float* run_quantized(Sandbox& s, const Implementation& i, const QuantizedCase& c, bool with_bias) {
  const Ops<float>& ops = i.ops;
  // The packed matrix belongs to the implementation, which chose its size: its end is watched.
  const std::int64_t bytes = ops.quantized_packed_size(c.type, c.rows, c.cols);
  constexpr std::size_t kBand = 64;
  void* packed = i.memory.allocate(static_cast<std::size_t>(bytes) + kBand);
  const std::vector<std::uint8_t> band(kBand, 0xa5);
  auto* end = static_cast<std::uint8_t*>(packed) + bytes;
  i.memory.copy_in(end, band.data(), kBand);
  ops.quantized_pack(packed, c.blocks.data(), c.type, c.rows, c.cols);
  const float *x = s.input(c.x), *bias = s.input(c.bias);
  float* out = s.output(std::int64_t{c.N} * c.rows);
  float* scratch = s.scratch(ops.quantized_scratch_size(c.N, c.rows, c.cols));
  ops.quantized_linear_forward(out, x, {c.type, c.rows, c.cols, packed}, with_bias ? bias : nullptr,
                               scratch, c.N);
  std::vector<std::uint8_t> after(kBand);
  i.memory.copy_out(after.data(), end, kBand);
  i.memory.release(packed);
  CHECK(after == band);
  return out;
}

void check_quantized(const Implementation& i) {
  for (const auto& [N, rows, cols] : kSizes) {
    const std::int64_t products = std::int64_t{N} * rows * cols;
    if (too_much_to_watch(i, products, 200'000)) continue;
    if (i.device == Device::emulated && products > 1'000'000) continue;
    for (const QuantType type : {QuantType::q8_0, QuantType::q4_0}) {
      const QuantizedCase c = quantized_case(type, N, rows, cols);
      for (const bool with_bias : {true, false}) {
        const Expected expected = equation(c, with_bias);
        Sandbox s(i, type == QuantType::q8_0 ? "quantized_linear_forward of Q8_0"
                                             : "quantized_linear_forward of Q4_0");
        const float* out = run_quantized(s, i, c, with_bias);
        // Integer sums are exact; each block's term is rounded three times, and added.
        s.expect("out", out, expected.value, {{"n", N}, {"o", rows}},
                 {.terms = cols / 32.0 + 1, .factor = 4, .magnitudes = expected.magnitude});
      }
    }
  }
}

TEST_CASE("quantized_linear_forward is the sum of integer products",
          "[quantized][forward][lesson-24]") {
  for (const Implementation& i : implementations()) check_quantized(i);
}

// What is lost beside the weights' own loss is the rounding of x: half a step of its block for each
// value, and 2^-11 of it for the step, which half precision keeps.
TEST_CASE("quantized_linear_forward is near the product with x as it is",
          "[quantized][forward][lesson-24]") {
  constexpr int N = 3, kRows = 21, kCols = 256;
  for (const QuantType type : {QuantType::q8_0, QuantType::q4_0}) {
    const QuantizedCase c = quantized_case(type, N, kRows, kCols);
    const Activations a = quantized(c.x);
    for (const Implementation& i : implementations()) {
      Sandbox s(i, "quantized_linear_forward");
      const Values out = s.values(run_quantized(s, i, c, false));
      for (std::size_t n = 0; n < N; ++n) {
        for (std::size_t o = 0; o < kRows; ++o) {
          double product = 0, bound = 0;
          for (std::size_t k = 0; k < kCols; ++k) {
            const double w = c.weight_d[(o * kCols + k) / 32] * c.weight_q[o * kCols + k];
            const double x = c.x[n * kCols + k];
            product += w * x;
            bound += std::fabs(w) * (0.501 * a.d[(n * kCols + k) / 32] + std::fabs(x) * 0x1p-11);
          }
          INFO(i.name << ", n=" << n << ", o=" << o);
          CHECK(std::fabs(out[n * kRows + o] - product) <= bound);
        }
      }
    }
  }
}

TEST_CASE("quantized_linear_forward hands on what no scale can hold as NaN, in its row alone",
          "[quantized][forward][lesson-24]") {
  constexpr int N = 3, kRows = 18, kCols = 96;
  QuantizedCase c = quantized_case(QuantType::q8_0, N, kRows, kCols);
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(), -1e9}) {
    c.x[kCols + 40] = bad;
    for (const Implementation& i : implementations()) {
      Sandbox s(i, "quantized_linear_forward");
      const Values out = s.values(run_quantized(s, i, c, true));
      for (std::size_t k = 0; k < out.size(); ++k) {
        INFO(i.name << ", value " << k << " after " << bad);
        CHECK(std::isnan(out[k]) == (k / kRows == 1));
      }
    }
  }
}

}  // namespace tinygpt::test
