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

// A code for each value, by a rule of x / d.
template <class Rule>
Values codes_by(const Values& x, const Values& d, const Rule& rule) {
  Values q;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double of = d[i / kBlock];
    q.push_back(of == 0 ? rule(0.0) : rule(x[i] / of));
  }
  return q;
}

// Where a quotient lies so near the middle between two codes that a float's rounding decides, the
// learner's code is as good as another.
inline Values with_ties(Values expected, const Values& actual, const Values& exact_codes) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::abs(actual[i] - exact_codes[i]) <= 0.5 + 1e-4) expected[i] = actual[i];
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
  add("no block at all", {});
  return cases;
}

// ---- eight bits

inline std::vector<Mistake> q8_0_scale_mistakes(const Values& x) {
  const double all = magnitude(x, 0, x.size());
  return {
      gives(scales_by(x, [&](std::size_t) { return half(all / 127); }),
            "One scale for everything. Each block of 32 has its own: else one large weight makes "
            "the steps coarse for all."),
      gives(scales_by(x, [&](std::size_t from) { return half(magnitude(x, from, kBlock) / 128); }),
            "You divide by 128. Codes go up to 127 on both sides: 128 has no place in eight bits."),
      gives(scales_by(x, [&](std::size_t from) { return half(magnitude(x, from, kBlock) / 255); }),
            "You divide by 255, the steps of both signs together. The largest magnitude is 127 "
            "steps from zero."),
      gives(scales_by(x, [&](std::size_t from) { return half(magnitude(x, from, kBlock)); }),
            "This is the largest magnitude itself: the scale is one of its 127 steps."),
      gives(scales_by(x, [&](std::size_t from) { return half(127 / magnitude(x, from, kBlock)); }),
            "The scale is upside down: values are d times their codes."),
      gives(scales_by(x,
                      [&](std::size_t from) {
                        return half(*std::max_element(
                                        x.begin() + static_cast<std::ptrdiff_t>(from),
                                        x.begin() + static_cast<std::ptrdiff_t>(from) + kBlock) /
                                    127);
                      }),
            "This comes from the largest value, and not from the largest magnitude: a block's "
            "farthest value may be negative.")};
}

inline std::vector<Mistake> q8_0_code_mistakes(const Values& x, const Values& d) {
  Values rounded;
  for (const double of : d) rounded.push_back(half(of));
  const auto to_byte = [](double q) {
    return static_cast<double>(static_cast<std::int8_t>(static_cast<int>(q)));
  };
  Values per_tensor(d.size(), *std::max_element(d.begin(), d.end()));
  return {
      gives(codes_by(x, d, [](double r) { return std::trunc(r); }),
            "The fraction is cut off, and so every value moves towards zero. Round to the nearest: "
            "std::round on the host, roundf in a kernel."),
      gives(codes_by(x, d, [](double r) { return std::floor(r + 0.5); }),
            "std::floor(r + 0.5) rounds negative halves up; std::round takes them away from zero."),
      gives(codes_by(x, d, [](double r) { return std::floor(r); }),
            "The quotient is rounded down. Round to the nearest."),
      gives(codes_by(x, rounded, [](double r) { return std::round(r); }),
            "You divide by the scale after it was rounded to half precision. As in ggml, codes are "
            "found with the float scale, before that."),
      gives(codes_by(x, per_tensor, [](double r) { return std::round(r); }),
            "Codes by the scale of another block: each block's values are divided by its own."),
      gives(codes_by(x, d, [&](double r) { return to_byte(std::round(r) + 128); }),
            "Something is added to the codes. Eight-bit codes are signed: zero is 0."),
      gives(Values(x.size(), 0.0), "All codes are 0. Is it an integer division, or a zero scale?")};
}

inline void examine_q8_0(Exam& exam, QuantizeQ8_0* quantize) {
  for (const auto& [what, x] : block_cases()) {
    const auto n = static_cast<int>(x.size());
    Sandbox& s = exam.call(fmt::format("quantize_q8_0(n={}), {}", n, what));
    const BlockOutput<BlockQ8_0> out(s, x.size() / kBlock);
    quantize(out.data(), s.input(x), n);
    if (n == 0) continue;
    const std::vector<BlockQ8_0> blocks = out.read(exam);
    const Values d =
        scales_by(x, [&](std::size_t from) { return magnitude(x, from, kBlock) / 127; });
    Values kept = d;
    for (double& of : kept) of = half(of);
    exam.expect("d", scales_of(blocks), kept, {{"block", n / kBlock}}, half_precision(),
                q8_0_scale_mistakes(x));
    const Values actual = codes_of(blocks);
    const Values expected = with_ties(codes_by(x, d, [](double r) { return std::round(r); }),
                                      actual, codes_by(x, d, [](double r) { return r; }));
    exam.expect("q", actual, expected, {{"block", n / kBlock}, {"i", kBlock}}, exact(),
                q8_0_code_mistakes(x, d));
  }
}

// ---- four bits

inline double step_of(double quotient) { return std::min(15.0, std::floor(quotient + 8.5)); }

inline std::vector<Mistake> q4_0_scale_mistakes(const Values& x) {
  const auto by = [&](const auto& rule) { return scales_by(x, rule); };
  const auto largest = [&](std::size_t from) { return signed_largest(x, from); };
  double all = 0;
  for (const double v : x) all = std::abs(v) > std::abs(all) ? v : all;
  return {
      gives(by([&](std::size_t from) { return half(signed_largest(x, from, true) / -8); }),
            "Two values have the largest magnitude: of equals, the first one counts."),
      gives(by([&](std::size_t) { return half(all / -8); }),
            "One scale for everything. Each block of 32 has its own: else one large weight makes "
            "the steps coarse for all."),
      gives(by([&](std::size_t from) { return half(magnitude(x, from, kBlock) / 8); }),
            "The sign of the largest value is lost. With d = m / -8 it becomes step -8, whatever "
            "its sign; with |m| / 8 a positive one would need step 8, which four bits lack."),
      gives(by([&](std::size_t from) { return half(magnitude(x, from, kBlock) / 7); }),
            "You divide by 7, which leaves one of the sixteen steps unused. d = m / -8: the "
            "largest value becomes step -8."),
      gives(by([&](std::size_t from) { return half(magnitude(x, from, kBlock) / -8); }),
            "The sign of m is lost: d = m / -8, where m is the value itself, not its magnitude."),
      gives(by([&](std::size_t from) { return half(largest(from) / 8); }),
            "The sign of d is wrong: d = m / -8, so that m becomes step -8, the end that has no "
            "counterpart."),
      gives(by([&](std::size_t from) { return half(largest(from) / -16); }),
            "You divide by 16, the number of steps. From zero to the largest value there are 8.")};
}

// Codes as somebody puts them into bytes in another order, read in the right one.
template <class Place>
Values laid_out(const Values& q, const Place& place) {
  Values out(q.size());
  for (std::size_t i = 0; i < q.size(); ++i) {
    const int at = static_cast<int>(i % kBlock);
    out[i - i % kBlock + static_cast<std::size_t>(place(at))] = q[i];
  }
  return out;
}

// Value i in half i % 2 of byte i / 2, read as byte and half are meant.
inline int side_by_side(int i) { return i / 2 + 16 * (i % 2); }
inline int halves_swapped(int i) { return (i + 16) % kBlock; }

inline std::vector<Mistake> q4_0_code_mistakes(const Values& x, const Values& d) {
  const Values right = codes_by(x, d, step_of);
  const auto wraps = [](double r) { return static_cast<int>(std::floor(r + 8.5)) & 15; };
  const auto signed_step = [](double r) {
    return static_cast<int>(std::min(7.0, std::round(r))) & 15;
  };
  return {
      gives(laid_out(right, side_by_side),
            "Neighbours share a byte in your blocks. In ggml's, value i shares byte i with value "
            "i + 16."),
      gives(laid_out(right, halves_swapped),
            "The halves of the bytes are exchanged: value i goes to the low half, i + 16 to the "
            "high one."),
      gives(codes_by(x, d, wraps),
            "The value at the other end of the range becomes 16, which four bits read as 0: the "
            "largest weight becomes its opposite. Not more than 15."),
      gives(codes_by(x, d, [](double r) { return std::clamp(std::floor(r + 8), 0.0, 15.0); }),
            "The quotient is rounded down. Adding 8.5 instead of 8, before the fraction is cut "
            "off, rounds to the nearest."),
      gives(codes_by(x, d, signed_step),
            "Your codes have a sign. In Q4_0 they go from 0 to 15, and zero is 8."),
      gives(codes_by(x, d, [](double r) { return std::min(15.0, std::floor(r + 7.5)); }),
            "Zero should be code 8: add 8, and a half for rounding."),
      gives(codes_by(x, d, [](double r) { return std::clamp(std::floor(r + 8.5), 0.0, 14.0); }),
            "Code 15 is never used: at most 15, not 14.")};
}

inline void examine_q4_0(Exam& exam, QuantizeQ4_0* quantize) {
  for (const auto& [what, x] : block_cases()) {
    const auto n = static_cast<int>(x.size());
    Sandbox& s = exam.call(fmt::format("quantize_q4_0(n={}), {}", n, what));
    const BlockOutput<BlockQ4_0> out(s, x.size() / kBlock);
    quantize(out.data(), s.input(x), n);
    if (n == 0) continue;
    const std::vector<BlockQ4_0> blocks = out.read(exam);
    const Values d = scales_by(x, [&](std::size_t from) { return signed_largest(x, from) / -8; });
    Values kept = d;
    for (double& of : kept) of = half(of);
    exam.expect("d", scales_of(blocks), kept, {{"block", n / kBlock}}, half_precision(),
                q4_0_scale_mistakes(x));
    const Values actual = codes_of(blocks);
    Values quotients = codes_by(x, d, [](double r) { return std::min(r + 8, 15.0); });
    exam.expect("q", actual, with_ties(codes_by(x, d, step_of), actual, quotients),
                {{"block", n / kBlock}, {"i", kBlock}}, exact(), q4_0_code_mistakes(x, d));
  }
}

}  // namespace tinygpt::lessons
