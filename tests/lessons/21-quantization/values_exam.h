// How what comes back out of blocks is examined, on the host and on a device.
#pragma once

#include <type_traits>

#include "tests/lessons/21-quantization/blocks_exam.h"

namespace tinygpt::lessons {

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
    Values first_scale;
    for (std::size_t i = 0; i < q.size(); ++i) {
      first_scale.push_back(q[i] * static_cast<float>(blocks[0].d));
    }
    exam.expect("out", out, values_by(blocks, q, product), {{"block", n / kBlock}, {"i", kBlock}},
                {},
                {gives(values_by(blocks, q, without_sign),
                       "The codes have lost their sign: they are std::int8_t, -127 to 127."),
                 gives(first_scale, "Everything is multiplied by the first block's scale."),
                 gives(q, "These are the codes: multiply each by its block's d.")});
  }
}

inline void examine_from_q4_0(Exam& exam, DequantizeQ4_0* dequantize) {
  for (const std::size_t count : {1u, 3u, 40u, 0u}) {
    const auto blocks = random_blocks<BlockQ4_0>(count, 13);
    const auto n = static_cast<int>(count) * kBlock;
    Sandbox& s = exam.call(fmt::format("dequantize_q4_0(n={})", n));
    float* out = s.output(n);
    dequantize(out, block_input(exam, s, blocks), n);
    const Values q = codes_of(blocks);
    const auto value = [](double d, double code) { return d * (code - 8); };
    const auto no_zero = [](double d, double code) { return d * code; };
    const auto as_signed = [](double d, double code) { return d * (code > 7 ? code - 16 : code); };
    const auto shifted = [](double d, double code) { return d * (code - 7.5); };
    Values high_kept;
    for (std::size_t i = 0; i < q.size(); ++i) {
      high_kept.push_back(i % kBlock < 16 ? q[i] + 16 * q[i + 16] : q[i]);
    }
    exam.expect(
        "out", out, values_by(blocks, q, value), {{"block", n / kBlock}, {"i", kBlock}}, {},
        {gives(values_by(blocks, read_as(q, side_by_side), value),
               "You read neighbours from one byte. Value i stands in byte i with value i + 16."),
         gives(values_by(blocks, read_as(q, halves_swapped), value),
               "The halves are exchanged: value i is the low half of byte i, i + 16 the high one."),
         gives(values_by(blocks, q, no_zero),
               "Zero is code 8: take 8 off before you multiply, or every weight is too large."),
         gives(values_by(blocks, q, as_signed),
               "The codes have no sign: they go from 0 to 15, and zero is 8."),
         gives(values_by(blocks, q, shifted), "Zero is code 8, not 7.5."),
         gives(values_by(blocks, high_kept, value),
               "The low half still has the high one on top of it: mask it with 15.")});
  }
}

}  // namespace tinygpt::lessons
