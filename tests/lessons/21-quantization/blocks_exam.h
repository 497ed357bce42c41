// How lesson 21's quantizers are examined, on the host and on a device.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/lessons/grading/exam.h"
#include "tinygpt/ops/quantized.h"

namespace tinygpt::lessons {

inline constexpr int kBlock = kQuantBlock;

// A result of blocks, in the place of floats.
template <class Block>
struct BlockOutput {
  BlockOutput(Sandbox& s, std::size_t blocks)
      : count(blocks), place(s.output(static_cast<std::int64_t>((bytes() + 3) / 4))) {}
  std::size_t bytes() const { return count * sizeof(Block); }
  Block* data() const { return reinterpret_cast<Block*>(place); }
  std::vector<Block> read(const Exam& exam) const {
    std::vector<Block> blocks(count);
    if (count > 0) exam.memory().copy_out(blocks.data(), place, bytes());
    return blocks;
  }
  std::size_t count;
  float* place;
};

// Values i = 0 .. 31 of all blocks, as their codes.
inline Values codes_of(const std::vector<BlockQ8_0>& blocks) {
  Values q;
  for (const BlockQ8_0& b : blocks) q.insert(q.end(), b.q, b.q + kBlock);
  return q;
}
inline Values codes_of(const std::vector<BlockQ4_0>& blocks) {
  Values q;
  for (const BlockQ4_0& b : blocks) {
    for (int i = 0; i < kBlock; ++i) q.push_back(i < 16 ? b.q[i] & 15 : b.q[i - 16] >> 4);
  }
  return q;
}

template <class Block>
Values scales_of(const std::vector<Block>& blocks) {
  Values d;
  for (const Block& b : blocks) d.push_back(static_cast<float>(b.d));
  return d;
}

inline double half(double x) { return static_cast<float>(Float16(static_cast<float>(x))); }

// Codes are whole numbers: anything but the same is wrong.
inline Tolerance exact() { return {.scale = 1, .factor = 1, .epsilon = 1e-3}; }
// Scales may be rounded to half precision from a float that is off in its last bit.
inline Tolerance half_precision() { return {.factor = 1, .epsilon = 0x1p-10}; }

inline double magnitude(const Values& x, std::size_t from, std::size_t count) {
  double largest = 0;
  for (std::size_t i = from; i < from + count; ++i) largest = std::max(largest, std::abs(x[i]));
  return largest;
}

// The value of largest magnitude, with its sign; of equals, the first, or the last.
inline double signed_largest(const Values& x, std::size_t from, bool last = false) {
  double m = 0;
  for (std::size_t i = from; i < from + kBlock; ++i) {
    if (std::abs(x[i]) > std::abs(m) || (last && std::abs(x[i]) == std::abs(m))) m = x[i];
  }
  return m;
}

// A scale for each block, by a rule.
template <class Rule>
Values scales_by(const Values& x, const Rule& rule) {
  Values d;
  for (std::size_t from = 0; from < x.size(); from += kBlock) d.push_back(rule(from));
  return d;
}

constexpr double kSmallestScale = 0x1p-126;  // a normal float

// A code for each value, by a rule of x / d. What has no scale is 0.
template <class Rule>
Values codes_by(const Values& x, const Values& d, const Rule& rule) {
  Values q;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double of = d[i / kBlock];
    q.push_back(std::abs(of) < kSmallestScale ? rule(0.0) : rule(x[i] / of));
  }
  return q;
}

// Where a quotient lies so near the middle between two codes that a float's rounding decides, the
// learner's code is as good as another. By a scale of 1 nothing is rounded: there halves are
// halves.
inline Values with_ties(Values expected, const Values& actual, const Values& exact_codes,
                        const Values& d) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool near_middle = std::abs(actual[i] - exact_codes[i]) <= 0.5 + 1e-4;
    if (near_middle && d[i / kBlock] != 1.0) expected[i] = actual[i];
  }
  return expected;
}

// The inputs: whole numbers of blocks, of all sizes of values, with the cases that go wrong.
struct BlockCase {
  std::string what;
  Values x;
};

inline Values rounded_to_float(Values x) {
  for (double& v : x) v = static_cast<float>(v);
  return x;
}

inline std::vector<BlockCase> block_cases() {
  std::vector<BlockCase> cases;
  const auto add = [&](const std::string& what, Values x) {
    cases.push_back({what, rounded_to_float(std::move(x))});
  };
  add("one block", random_values(32, 1));
  Values unequal = random_values(96, 2);
  for (std::size_t i = 32; i < 64; ++i) unequal[i] *= 20;
  add("blocks of unequal size", unequal);
  add("many blocks", random_values(32 * 37, 3, 0.02));
  Values zeros = random_values(64, 4);
  std::fill(zeros.begin(), zeros.begin() + 32, 0.0);
  add("a block of zeros, and another", zeros);
  for (const double sign : {1.0, -1.0}) {
    Values one_sided = random_values(32, 5);
    for (double& v : one_sided) v = sign * std::abs(v);
    add(sign > 0 ? "all positive" : "all negative", one_sided);
  }
  Values tie = random_values(32, 6, 0.3);
  tie[4] = -3, tie[19] = 3;
  add("the largest magnitude twice, with both signs", tie);
  std::swap(tie[4], tie[19]);
  add("the largest magnitude twice, with both signs", tie);
  add("large values", random_values(64, 7, 300.0));
  Values halves;  // of steps of 1: in eight bits by 127, in four by -8
  for (int i = 0; i < 2 * kBlock; ++i) halves.push_back((i % 2 ? -1 : 1) * (i / 2 % 8 + 0.5));
  halves[3] = 127, halves[kBlock + 3] = -8;
  add("values midway between two codes", halves);
  // Half precision makes 1 of this scale, and that alone moves each value across the middle.
  const double above_one = 1 + 0.98 * 0x1p-11;
  Values near_middle(kBlock, 0.0);
  for (int k = 1; k < 8; ++k) {
    near_middle[static_cast<std::size_t>(k)] = (k + 0.5) * (above_one - 0.49 * 0x1p-11);
    near_middle[static_cast<std::size_t>(k + 16)] = -near_middle[static_cast<std::size_t>(k)];
  }
  near_middle[0] = -8 * above_one;
  add("values just below the middle between two codes", near_middle);
  add("values too small for a scale", random_values(64, 8, 1e-39));
  add("no block at all", {});
  return cases;
}

}  // namespace tinygpt::lessons
