// How products of quantized blocks are examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/lessons/grading/exam.h"
#include "tinygpt/ops/quantized.h"

namespace tinygpt::lessons {

// A matrix and a vector as numbers: what the blocks are made of.
struct MatvecCase {
  int rows, cols;
  Values wd, xd;            // scales [rows, blocks], [blocks]
  std::vector<int> wq, xq;  // [rows, cols], [cols]; of four bits as they are stored, 0 to 15
  std::int64_t blocks() const { return cols / 32; }
};

// The ways to be wrong, one at a time.
struct MatvecRule {
  bool no_wd = false, no_xd = false, scales_added = false, scales_divided = false;
  bool wd_twice = false, xd_twice = false;
  bool first_x = false;      // x does not move on
  bool transposed = false;   // blocks counted down the columns
  bool sum_goes_on = false;  // from row to row
  bool last_value_out = false, high_out = false, x_sum_goes_on = false, offset_unscaled = false;
  bool offset_of_one = false;               // 8, whatever x is
  bool first_wd = false, first_xd = false;  // the first block's scale for all
  bool scale_bits = false;                  // the half's bits as a number
  bool last_block_out = false, first_block_only = false, four_blocks_only = false;
  bool half_block = false;  // 16 of 32 values
  bool keeps_dot = false;   // the integer sum is not begun anew
  bool short_dot = false;   // in 16 bits
  bool unsigned_x = false, unsigned_w = false;
  bool first_row = false;  // the weight does not move on
  bool no_offset = false, offset_once = false, offset_low_only = false, offset_per_block = false;
  int offset = 8;
  bool adds_offset = false;
  bool swapped = false, neighbours = false, twos_complement = false, high_not_shifted = false;
  bool low_not_masked = false, x_low_twice = false;
};

// Weight value i of a block, as the rule would read it from the bytes.
inline int weight_value(const int* block, int i, bool four, const MatvecRule& rule) {
  if (!four) return rule.unsigned_w ? block[i] & 255 : block[i];
  int from = i;
  if (rule.swapped) from = (i + 16) % 32;
  if (rule.neighbours) from = i / 2 + (rule.swapped ? 1 - i % 2 : i % 2) * 16;
  int q = block[from];
  if (rule.high_not_shifted && i >= 16) q *= 16;
  if (rule.low_not_masked && i < 16) q += 16 * block[i + 16];
  if (rule.twos_complement) q = q >= 8 ? q - 16 : q;
  return q;
}

// What a block leaves to the next one, if it is not begun anew.
struct MatvecSums {
  std::int64_t dot = 0, x = 0;
  double row = 0;
};

inline double block_product(const MatvecCase& c, std::int64_t o, std::int64_t b, bool four,
                            const MatvecRule& rule, MatvecSums& sums) {
  const std::int64_t block = rule.first_row    ? b
                             : rule.transposed ? b * c.rows + o
                                               : o * c.blocks() + b;
  const int* w = c.wq.data() + block * 32;
  const int* x = c.xq.data() + (rule.first_x ? 0 : b * 32);
  std::int64_t& x_sum = sums.x;
  std::int64_t& dot = sums.dot;
  if (!rule.x_sum_goes_on || b == 0) x_sum = 0;
  if (!rule.keeps_dot) dot = 0;
  for (int i = 0; i < (rule.half_block ? 16 : rule.last_value_out ? 31 : 32); ++i) {
    int value = x[rule.x_low_twice ? i % 16 : i];
    if (rule.unsigned_x) value &= 255;
    if (i < 16 || !rule.high_out) dot += weight_value(w, i, four, rule) * value;
    if (i < 16 || !rule.offset_low_only) x_sum += value;
  }
  if (rule.short_dot) dot = static_cast<std::int16_t>(dot);
  if (!four || rule.no_offset || rule.twos_complement) return static_cast<double>(dot);
  if (rule.offset_unscaled) return static_cast<double>(dot);  // it comes off behind the scales
  if (rule.offset_per_block) return static_cast<double>(dot - rule.offset * 32);
  if (rule.offset_of_one) return static_cast<double>(dot - rule.offset);
  if (rule.offset_once && b > 0) return static_cast<double>(dot);
  const std::int64_t offset = rule.offset * x_sum;
  return static_cast<double>(rule.adds_offset ? dot + offset : dot - offset);
}

inline double scale_value(double d, const MatvecRule& rule) {
  return rule.scale_bits ? Float16(static_cast<float>(d)).bits : d;
}

inline double scales_together(double w, double x, const MatvecRule& rule) {
  if (rule.scales_added) return w + x;
  if (rule.scales_divided) return w / x;
  if (rule.wd_twice) return w * w;
  if (rule.xd_twice) return x * x;
  return (rule.no_wd ? 1 : w) * (rule.no_xd ? 1 : x);
}

// out[o] = sum_b dw[o, b] dx[b] sum_i qw[o, b, i] qx[b, i], and what is added, by magnitude.
inline Values matvec_exact(const MatvecCase& c, bool four, const MatvecRule& rule = {},
                           Values* magnitudes = nullptr) {
  Values out;
  MatvecSums sums;
  for (std::int64_t o = 0; o < c.rows; ++o) {
    double sum = rule.sum_goes_on ? sums.row : 0, size = 0;
    sums.dot = 0;
    for (std::int64_t b = 0; b < c.blocks(); ++b) {
      if (rule.last_block_out && b == c.blocks() - 1) break;
      if (rule.first_block_only && b > 0) break;
      if (rule.four_blocks_only && b >= (four ? 8 : 4)) break;
      const std::int64_t row = rule.first_row ? 0 : o;
      const std::int64_t block =
          rule.transposed ? b * c.rows + o : row * c.blocks() + (rule.first_wd ? 0 : b);
      const double w = scale_value(c.wd[static_cast<std::size_t>(block)], rule);
      const double x = scale_value(c.xd[static_cast<std::size_t>(rule.first_xd ? 0 : b)], rule);
      const double product = block_product(c, o, b, four, rule, sums);
      const double scale = scales_together(w, x, rule);
      sum += scale * product;
      if (rule.offset_unscaled) sum -= static_cast<double>(rule.offset * sums.x);
      // A kernel may scale four products at a time: their magnitudes, at most.
      for (int i = 0; i < 32; ++i) {
        size += std::abs(scale * c.wq[static_cast<std::size_t>((o * c.blocks() + b) * 32 + i)] *
                         c.xq[static_cast<std::size_t>(b * 32 + i)]);
      }
    }
    out.push_back(sum);
    sums.row = sum;
    if (magnitudes != nullptr) magnitudes->push_back(size);
  }
  return out;
}

struct MatvecSlip {
  MatvecRule rule;
  const char* nudge;
  bool four_only = false;
};

inline const std::vector<MatvecSlip>& matvec_slips() {
  static const std::vector<MatvecSlip> slips = {
      {{.no_offset = true},
       "The offset is not compensated: a stored value is 8 more than the weight, and that adds 8 "
       "times the sum of the block's x. Subtract 8 * x_sum from the integer sum.",
       true},
      {{.offset_once = true},
       "The offset is compensated in the first block only. Each block has a sum of x of its own, "
       "and a scale of its own that it must be multiplied by.",
       true},
      {{.offset_low_only = true},
       "The offset is compensated for the low halves alone: x_sum has 16 of the 32 values of x. "
       "The high halves are 8 too large, too.",
       true},
      {{.offset_per_block = true},
       "8 * 32 is subtracted, as if every x were 1. Each stored value is 8 too large, and that 8 "
       "is multiplied by its x: subtract 8 times the sum of x.",
       true},
      {{.x_sum_goes_on = true},
       "The sum of x goes on from block to block. Each block's offset is 8 times the sum of its "
       "own 32 values: begin it anew, at 0.",
       true},
      {{.offset_of_one = true},
       "8 is subtracted once. Each stored value is 8 too large, and that 8 is multiplied by its "
       "x: subtract 8 times the sum of the block's x.",
       true},
      {{.offset_unscaled = true},
       "The offset is subtracted behind the scales. It belongs to the integer sum: both scales "
       "times (dot - 8 * x_sum).",
       true},
      {{.adds_offset = true},
       "The offset is added once more. Stored values are too large: subtract 8 * x_sum.",
       true},
      {{.offset = 7}, "The offset is 7 here. A stored 8 stands for 0: the offset is 8.", true},
      {{.offset = 16}, "The offset is 16 here. A stored 8 stands for 0: the offset is 8.", true},
      {{.swapped = true},
       "Low and high halves have changed places: value i is in the low half of byte i (q & 15), "
       "value i + 16 in the high half (q >> 4).",
       true},
      {{.neighbours = true},
       "Byte i is read as values 2 i and 2 i + 1. It holds values i and i + 16, so that masking "
       "a word gives neighbours that stand side by side.",
       true},
      {{.swapped = true, .neighbours = true},
       "Byte i is read as values 2 i and 2 i + 1. It holds values i and i + 16: the first in its "
       "low half, the second in its high one.",
       true},
      {{.high_out = true}, "The high halves are left out: q >> 4 times x.q[i + 16].", true},
      {{.twos_complement = true},
       "The four bits are read as a number with a sign (two's complement). They are counted from "
       "-8 up: a stored 0 is -8, a stored 15 is 7.",
       true},
      {{.high_not_shifted = true},
       "The high half is not shifted down: q & 0xf0 is 16 times the value. Take q >> 4.",
       true},
      {{.low_not_masked = true},
       "The low half is not masked: q has the high half in it still. Take q & 15.",
       true},
      {{.x_low_twice = true},
       "The high halves are multiplied by x[0] to x[15]. They are values 16 to 31: x.q[i + 16].",
       true},
      {{.half_block = true},
       "Half of each block is left out: the values 16 to 31. A block has 32 of them."},
      {{.last_value_out = true},
       "The last value of each block is left out: there are 32 of them, 0 to 31."},
      {{.last_block_out = true}, "The last block of each row is left out."},
      {{.four_blocks_only = true},
       "Only the first 32 words of a row count: each lane takes one. Lanes have to come round: "
       "word += kWarp."},
      {{.first_block_only = true},
       "Only the first block of each row counts. A row has cols / 32 of them."},
      {{.keeps_dot = true},
       "The integer sum goes on from block to block, so that a block's products are scaled by "
       "later blocks' scales, too. Begin it anew, at 0, in every block."},
      {{.short_dot = true},
       "The integer sum does not fit into 16 bits: 32 products of up to 127 * 127. Sum in int."},
      {{.no_wd = true, .no_xd = true},
       "No scale at all: an integer sum counts steps. Multiply it by the weight's d and by x's d."},
      {{.no_xd = true}, "x's scale is missing: its block has a d, too. Multiply by both."},
      {{.no_wd = true}, "The weight's scale is missing. Multiply by both, the weight's d and x's."},
      {{.scales_added = true},
       "The two scales are added. A product of two numbers is the product of their steps times "
       "the product of their scales."},
      {{.scales_divided = true},
       "The weight's scale is divided by x's. A value is d times q in both: multiply."},
      {{.wd_twice = true}, "The weight's scale counts twice, and x's never: one d of each."},
      {{.xd_twice = true}, "x's scale counts twice, and the weight's never: one d of each."},
      {{.first_wd = true, .first_xd = true},
       "The scales of the first blocks serve all. Each block has its own: multiply its integer "
       "sum by its two scales before you go on to the next."},
      {{.first_x = true, .first_xd = true},
       "x does not move on: each block of the weight meets x's first one. Block b meets x[b]."},
      {{.first_x = true},
       "x's values do not move on: each block of the weight meets those of x's first one."},
      {{.transposed = true},
       "The blocks are counted down the columns. A row's blocks lie side by side: block b of row "
       "o is weight[o * (cols / 32) + b]."},
      {{.sum_goes_on = true},
       "A row's sum begins with what is left of the row before. Begin it at 0 in each row."},
      {{.first_wd = true},
       "The first block's scale serves the whole row. Each block of the weight has its own."},
      {{.first_xd = true}, "x's first scale serves all of its blocks. Each has its own."},
      {{.scale_bits = true},
       "The scale's bits are taken as a number. d is a Float16: as a float, it converts itself."},
      {{.unsigned_x = true, .unsigned_w = true},
       "All values have lost their sign: -1 is read as 255. The bytes have one, in both vectors."},
      {{.unsigned_x = true},
       "x's values have lost their sign: -1 is read as 255. They are std::int8_t."},
      {{.unsigned_w = true},
       "The weight's values have lost their sign: -1 is read as 255. They are std::int8_t."},
      {{.first_row = true},
       "Every row is multiplied by the first row of the weight. Row o begins at o * (cols / 32), "
       "counted in blocks."}};
  return slips;
}

// Sums of floats, which may be far larger than the right ones, and rounded accordingly.
inline Mistake near(const Values& wrong, std::string nudge) {
  return when(
      [wrong](const Answer& a) {
        for (std::size_t i = 0; i < wrong.size(); ++i) {
          if (!(std::abs(a.actual[i] - wrong[i]) <= a.allowed[i] + 1e-5 * std::abs(wrong[i]))) {
            return false;
          }
        }
        return true;
      },
      std::move(nudge));
}

inline Values times(Values x, double by) {
  for (double& v : x) v *= by;
  return x;
}

inline std::vector<Mistake> matvec_mistakes(const MatvecCase& c, bool four) {
  const Values right = matvec_exact(c, four);
  std::vector<Mistake> mistakes;
  for (const MatvecSlip& slip : matvec_slips()) {
    if (slip.four_only && !four) continue;
    const Values wrong = matvec_exact(c, four, slip.rule);
    bool differs = false;  // only what can be told from the right answer
    for (std::size_t i = 0; i < right.size(); ++i) {
      differs |= !(std::abs(wrong[i] - right[i]) <= 1e-4 * std::abs(right[i]));
    }
    if (differs) mistakes.push_back(near(wrong, slip.nudge));
  }
  mistakes.push_back(when(
      [](const Answer& a) {
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          const bool near_by = std::abs(a.actual[i] - a.expected[i]) < 16;
          if (!near_by || a.actual[i] != std::trunc(a.actual[i])) return false;
        }
        return true;
      },
      "All results are whole numbers. The inner sum is one of integers; times the scales it is a "
      "float, and so is the sum over the blocks."));
  mistakes.push_back(near(times(right, 32),
                          "This is 32 times the right sum: every lane has all of it. Each lane "
                          "has its own words, and the kernel adds the lanes up."));
  mistakes.push_back(when(
      [](const Answer& a) {
        return a.actual.size() > 1 && std::abs(a.actual[0] - a.expected[0]) <= a.allowed[0];
      },
      "Row 0 is right. Row o begins at o * (cols / 32), counted in blocks and not in values or "
      "bytes, and its sums begin at 0. (In a kernel, a row's lanes are threadIdx.x % kWarp.)"));
  return mistakes;
}

inline MatvecCase matvec_case(int rows, int cols, bool four, std::uint64_t seed, bool large) {
  MatvecCase c{rows, cols, {}, {}, {}, {}};
  const auto half = [](double d) {
    return static_cast<double>(Float16(static_cast<float>(std::abs(d) + 0.125)));
  };
  for (const double d : random_values(rows * c.blocks(), seed)) {
    c.wd.push_back(half(d) * (four && d < 0 ? -1 : 1));  // Q4_0's scales have a sign
  }
  for (const double d : random_values(c.blocks(), seed + 1)) c.xd.push_back(half(d));
  const auto whole = [](double v) { return static_cast<int>(std::nearbyint(v)); };
  for (const double v : random_values(std::int64_t{rows} * cols, seed + 2)) {
    const int q = large ? 127 : std::clamp(whole(v * 50), -127, 127);
    c.wq.push_back(four ? (large ? 15 : std::clamp(whole(v * 4 + 8), 0, 15)) : q);
  }
  for (const double v : random_values(cols, seed + 3)) {
    c.xq.push_back(large ? 127 : std::clamp(whole(v * 50 + 10), -127, 127));
  }
  return c;
}

// Blocks as bytes, in words, as the sandbox keeps them.
template <class Block>
std::vector<int> as_words(const std::vector<Block>& blocks) {
  std::vector<int> words((blocks.size() * sizeof(Block) + 3) / 4);
  if (!blocks.empty()) std::memcpy(words.data(), blocks.data(), blocks.size() * sizeof(Block));
  return words;
}

inline std::vector<BlockQ8_0> q8_blocks(const Values& scales, const std::vector<int>& q) {
  std::vector<BlockQ8_0> blocks(scales.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    blocks[b].d = Float16(static_cast<float>(scales[b]));
    for (std::size_t i = 0; i < 32; ++i) {
      blocks[b].q[i] = static_cast<std::int8_t>(q[b * 32 + i]);
    }
  }
  return blocks;
}

inline std::vector<BlockQ4_0> q4_blocks(const Values& scales, const std::vector<int>& q) {
  std::vector<BlockQ4_0> blocks(scales.size());
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    blocks[b].d = Float16(static_cast<float>(scales[b]));
    for (std::size_t i = 0; i < 16; ++i) {
      blocks[b].q[i] = static_cast<std::uint8_t>(q[b * 32 + i] | q[b * 32 + i + 16] << 4);
    }
  }
  return blocks;
}

struct MatvecSize {
  int rows, cols;
  bool large = false;
};

inline std::vector<MatvecSize> matvec_sizes() {
  return {{1, 32}, {1, 96}, {3, 32}, {4, 96}, {2, 64, true}, {5, 352}, {7, 160}, {0, 64}, {33, 64}};
}

template <class Block, class Function>
void examine_matvec(Exam& exam, const char* name, Function* matvec) {
  constexpr bool kFour = sizeof(Block) == sizeof(BlockQ4_0);
  for (const auto& [rows, cols, large] : matvec_sizes()) {
    const MatvecCase c = matvec_case(rows, cols, kFour, 7, large);
    Values magnitudes;
    const Values expected = matvec_exact(c, kFour, {}, &magnitudes);
    Sandbox& box = exam.call(fmt::format("{}(rows={}, cols={}){}", name, rows, cols,
                                         large ? ", all values as large as can be" : ""));
    float* out = box.output(rows);
    const int* w = nullptr;
    if constexpr (kFour) w = box.input(as_words(q4_blocks(c.wd, c.wq)));
    else w = box.input(as_words(q8_blocks(c.wd, c.wq)));
    const int* x = box.input(as_words(q8_blocks(c.xd, c.xq)));
    matvec(out, reinterpret_cast<const Block*>(w), reinterpret_cast<const BlockQ8_0*>(x), rows,
           cols);
    exam.expect("out", out, expected, {{"o", rows}},
                {.terms = cols / 4.0 + 1, .factor = 4, .magnitudes = magnitudes},
                matvec_mistakes(c, kFour));
  }
}

}  // namespace tinygpt::lessons
