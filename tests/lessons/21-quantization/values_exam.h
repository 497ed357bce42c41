// How blocks, and what comes back out of them, are examined, on the host and on a device.
#pragma once

#include <type_traits>

#include "tests/lessons/21-quantization/block_mistakes.h"

namespace tinygpt::lessons {

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
                                      actual, codes_by(x, d, [](double r) { return r; }), d);
    exam.expect("q", actual, expected, {{"block", n / kBlock}, {"i", kBlock}}, exact(),
                q8_0_code_mistakes(x, d));
  }
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
    exam.expect("q", actual, with_ties(codes_by(x, d, step_of), actual, quotients, d),
                {{"block", n / kBlock}, {"i", kBlock}}, exact(), q4_0_code_mistakes(x, d));
  }
}

// ---- and back

template <class Block>
std::vector<Block> random_blocks(std::size_t count, std::uint64_t seed) {
  const Values d = random_values(static_cast<std::int64_t>(count), seed);
  const std::vector<int> bytes =
      random_tokens(static_cast<std::int64_t>(count * sizeof(Block::q)), 256, seed + 1);
  std::vector<Block> blocks(count);
  for (std::size_t b = 0; b < count; ++b) {
    blocks[b].d = Float16(static_cast<float>(d[b]));
    for (std::size_t i = 0; i < sizeof(Block::q); ++i) {
      const int byte = bytes[b * sizeof(Block::q) + i];
      using Code = std::remove_extent_t<decltype(Block::q)>;
      blocks[b].q[i] = static_cast<Code>(byte);
    }
  }
  return blocks;
}

// Blocks as an input: their bytes, in the place of floats.
template <class Block>
const Block* block_input(Exam& exam, Sandbox& s, const std::vector<Block>& blocks) {
  const std::size_t bytes = blocks.size() * sizeof(Block);
  float* place = s.scratch(static_cast<std::int64_t>((bytes + 3) / 4));
  if (bytes > 0) exam.memory().copy_in(place, blocks.data(), bytes);
  return reinterpret_cast<const Block*>(place);
}

template <class Block, class Rule>
Values values_by(const std::vector<Block>& blocks, const Values& codes, const Rule& rule) {
  Values out;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    out.push_back(rule(double{static_cast<float>(blocks[i / kBlock].d)}, codes[i]));
  }
  return out;
}

template <class Place>
Values read_as(const Values& q, const Place& place) {
  Values out(q.size());
  for (std::size_t i = 0; i < q.size(); ++i) {
    out[i] = q[i - i % kBlock + static_cast<std::size_t>(place(static_cast<int>(i % kBlock)))];
  }
  return out;
}

inline void examine_from_q8_0(Exam& exam, DequantizeQ8_0* dequantize) {
  for (const std::size_t count : {1u, 3u, 40u, 0u}) {
    const auto blocks = random_blocks<BlockQ8_0>(count, 11);
    const auto n = static_cast<int>(count) * kBlock;
    Sandbox& s = exam.call(fmt::format("dequantize_q8_0(n={})", n));
    float* out = s.output(n);
    dequantize(out, block_input(exam, s, blocks), n);
    const Values q = codes_of(blocks);
    const auto product = [](double d, double code) { return d * code; };
    const auto without_sign = [](double d, double code) {
      return d * (code < 0 ? code + 256 : code);
    };
    const auto of_bits = [](double d, double code) {
      return Float16(static_cast<float>(d)).bits * code;
    };
    const auto less_128 = [](double d, double code) { return d * (code - 128); };
    const auto by_127 = [](double d, double code) { return d * code / 127; };
    Values first_scale;
    for (std::size_t i = 0; i < q.size(); ++i) {
      first_scale.push_back(q[i] * static_cast<float>(blocks[0].d));
    }
    exam.expect("out", out, values_by(blocks, q, product), {{"block", n / kBlock}, {"i", kBlock}},
                {},
                {gives(values_by(blocks, q, without_sign),
                       "The codes have lost their sign: they are std::int8_t, -127 to 127."),
                 gives(first_scale, "Everything is multiplied by the first block's scale."),
                 gives(values_by(blocks, q, of_bits),
                       "The scale's bits are taken as a number. d is a Float16, which turns itself "
                       "into a float (in a kernel: half_to_float)."),
                 gives(values_by(blocks, q, less_128),
                       "Nothing has to be taken off: codes of eight bits have a sign, zero is 0."),
                 gives(values_by(blocks, q, by_127),
                       "d is the size of one step, divided by 127 already: x' = d * q."),
                 gives(q, "These are the codes: multiply each by its block's d.")});
  }
}

// Both halves of the bytes read wrongly, or one of them.
inline void add_halves(std::vector<Mistake>& mistakes, const Values& right, const Values& wrong,
                       const std::string& nudge) {
  Values low = right, high = right;
  for (std::size_t i = 0; i < right.size(); ++i) (i % kBlock < 16 ? low : high)[i] = wrong[i];
  for (const Values& values : {wrong, low, high}) mistakes.push_back(gives(values, nudge));
}

inline std::vector<Mistake> q4_0_value_mistakes(const std::vector<BlockQ4_0>& blocks) {
  const Values q = codes_of(blocks);
  const auto value = [](double d, double code) { return d * (code - 8); };
  const Values right = values_by(blocks, q, value);
  std::vector<Mistake> mistakes = {
      gives(values_by(blocks, read_as(q, side_by_side), value),
            "You read neighbours from one byte. Value i stands in byte i with value i + 16."),
      gives(values_by(blocks, read_as(q, halves_swapped), value),
            "The halves are exchanged: value i is the low half of byte i, i + 16 the high one.")};
  const auto add = [&](const auto& rule, const char* nudge) {
    add_halves(mistakes, right, values_by(blocks, q, rule), nudge);
  };
  add([](double d, double code) { return d * code; },
      "Zero is code 8: take 8 off before you multiply, or every weight is too large.");
  add([](double d, double code) { return d * code - 8; },
      "8 is taken off the product. Take it off the code: d * (q - 8).");
  add([](double d, double code) { return d * (8 - code); },
      "The signs are turned round: d * (q - 8), and not 8 - q.");
  add([](double d, double code) { return d * (code > 7 ? code - 16 : code); },
      "The codes have no sign: they go from 0 to 15, and zero is 8.");
  add([](double d, double code) { return d * (code > 7 ? code - 24 : code - 8); },
      "The byte has no sign, nor have its halves: as std::uint8_t, >> 4 gives 0 to 15.");
  add([](double d, double code) { return d * (code < 8 ? code + 8 : code - 8); },
      "8 is taken off before the half is cut out. Mask with 15, or shift, and then take 8 off.");
  add([](double d, double code) { return d * (code - 7.5); }, "Zero is code 8, not 7.5.");
  add([](double d, double code) { return d * (code - 7); }, "Zero is code 8, not 7.");
  add([](double d, double code) { return d * (16 * code - 8); },
      "The high half is not shifted down: q & 0xf0 is 16 times the code. Take q >> 4.");
  add([](double d, double code) { return Float16(static_cast<float>(d)).bits * (code - 8); },
      "The scale's bits are taken as a number. d is a Float16, which turns itself into a float (in "
      "a kernel: half_to_float).");
  Values high_kept = q, first_scale;
  for (std::size_t i = 0; i < q.size(); ++i) {
    if (i % kBlock < 16) high_kept[i] += 16 * q[i + 16];
    first_scale.push_back(static_cast<float>(blocks[0].d) * (q[i] - 8));
  }
  mistakes.push_back(gives(values_by(blocks, high_kept, value),
                           "The low half still has the high one on top of it: mask it with 15."));
  mistakes.push_back(gives(first_scale, "Everything is multiplied by the first block's scale."));
  mistakes.push_back(one_half_right(
      true, "Low halves are right, high ones are not: value i + 16 is byte i's q >> 4."));
  mistakes.push_back(one_half_right(
      false, "High halves are right, low ones are not: value i is byte i's q & 15."));
  return mistakes;
}

inline void examine_from_q4_0(Exam& exam, DequantizeQ4_0* dequantize) {
  for (const std::size_t count : {1u, 3u, 40u, 0u}) {
    const auto blocks = random_blocks<BlockQ4_0>(count, 13);
    const auto n = static_cast<int>(count) * kBlock;
    Sandbox& s = exam.call(fmt::format("dequantize_q4_0(n={})", n));
    float* out = s.output(n);
    dequantize(out, block_input(exam, s, blocks), n);
    const auto value = [](double d, double code) { return d * (code - 8); };
    exam.expect("out", out, values_by(blocks, codes_of(blocks), value),
                {{"block", n / kBlock}, {"i", kBlock}}, {}, q4_0_value_mistakes(blocks));
  }
}

}  // namespace tinygpt::lessons
