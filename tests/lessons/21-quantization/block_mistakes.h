// What people make of lesson 21's blocks, and what to say to them.
#pragma once

#include <string>
#include <vector>

#include "tests/lessons/21-quantization/blocks_exam.h"

namespace tinygpt::lessons {

// A block's largest value, sign and all, where its largest magnitude is asked for.
inline double maximum(const Values& x, std::size_t from) {
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(from);
  return *std::max_element(begin, begin + kBlock);
}
inline double range(const Values& x, std::size_t from) {
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(from);
  const auto [low, high] = std::minmax_element(begin, begin + kBlock);
  return *high - *low;
}

// The scales of blocks that begin at `each` times their number.
template <class Rule>
Values scales_at(const Values& x, std::size_t each, const Rule& rule) {
  Values d;
  for (std::size_t b = 0; b < x.size() / kBlock; ++b) d.push_back(rule(b * each));
  return d;
}

inline const char* const kBlocksBegin = "Block b begins at x + b * 32, and is 32 values long.";
inline const char* const kNotWritten =
    "All scales are 0, as if none was written: does something run at all, and put Float16(d) (in "
    "a kernel: store_half) into out[b].d?";
inline const char* const kFromHalf =
    "You divide by the scale after it was rounded to half precision. As in ggml, codes are found "
    "with the float scale, before that.";
// Asked where the values are hardly more than nothing.
inline Mistake divided_by_nothing(const Values& x) {
  return when(
      [x](const Answer& a) {
        return a.actual.size() == x.size() &&
               std::all_of(x.begin(), x.end(), [](double v) { return std::abs(v) < 1e-37; });
      },
      "So small a scale is nothing: inverse_of(d) is 0 there. Multiply by it instead of dividing "
      "by d, which may be 0, too.");
}

inline Mistake all_zero(const char* nudge) {
  return when(
      [](const Answer& a) {
        return std::all_of(a.actual.begin(), a.actual.end(), [](double v) { return v == 0; });
      },
      nudge);
}

// ---- eight bits

inline std::vector<Mistake> q8_0_scale_mistakes(const Values& x) {
  const double all = magnitude(x, 0, x.size());
  const auto largest = [&](std::size_t from) { return magnitude(x, from, kBlock); };
  const auto by = [&](const auto& rule) {
    return scales_by(x, [&](std::size_t from) { return half(rule(from)); });
  };
  const auto right = [&](std::size_t from) { return half(largest(from) / 127); };
  return {
      gives(by([&](std::size_t) { return all / 127; }),
            "One scale for everything. Each block of 32 has its own: else one large weight makes "
            "the steps coarse for all."),
      gives(scales_at(x, 0, right), kBlocksBegin),
      gives(scales_at(x, 1, right), kBlocksBegin),
      gives(by([&](std::size_t from) { return signed_largest(x, from) / 127; }),
            "The scale has the sign of the largest value. In Q8_0 it comes from the magnitude: "
            "codes have a sign of their own."),
      gives(by([&](std::size_t from) { return largest(from) / 128; }),
            "You divide by 128. Codes go up to 127 on both sides: 128 has no place in eight bits."),
      gives(by([&](std::size_t from) { return signed_largest(x, from) / -128; }),
            "You divide by -128, as Q4_0 does by -8. In Q8_0, d = max |x| / 127."),
      gives(by([&](std::size_t from) { return largest(from) / 255; }),
            "You divide by 255, the steps of both signs together. The largest magnitude is 127 "
            "steps from zero."),
      gives(by([&](std::size_t from) { return range(x, from) / 255; }),
            "This is the whole range, from the smallest value to the largest, in 255 steps: a "
            "format with an offset. In Q8_0 zero is code 0, and d = max |x| / 127."),
      gives(by([&](std::size_t from) { return largest(from) == 0 ? 1 : largest(from) / 127; }),
            "A block of zeros has d = 0, and inverse_of(d) is 0 there: no other d is needed."),
      gives(by(largest),
            "This is the largest magnitude itself: the scale is one of its 127 steps."),
      gives(by([&](std::size_t from) { return 127 / largest(from); }),
            "The scale is upside down: values are d times their codes."),
      gives(by([&](std::size_t from) { return maximum(x, from) / 127; }),
            "This comes from the largest value, and not from the largest magnitude: a block's "
            "farthest value may be negative."),
      all_zero(kNotWritten)};
}

inline std::vector<Mistake> q8_0_code_mistakes(const Values& x, const Values& d) {
  Values rounded;
  for (const double of : d) rounded.push_back(half(of));
  const auto to_byte = [](double q) {
    return static_cast<double>(static_cast<std::int8_t>(static_cast<int>(q)));
  };
  const Values per_tensor(d.size(), *std::max_element(d.begin(), d.end()));
  const auto nearest = [](double r) { return std::round(r); };
  return {
      divided_by_nothing(x),
      gives(codes_by(x, d, [](double r) { return std::trunc(r); }),
            "The fraction is cut off, and so every value moves towards zero. Round to the "
            "nearest: std::round on the host, roundf in a kernel."),
      gives(codes_by(x, d, [](double r) { return std::trunc(r + 0.5); }),
            "A half is added and the fraction cut off: below zero that rounds towards zero. "
            "std::round on the host, roundf in a kernel."),
      gives(codes_by(x, d, [](double r) { return std::floor(r + 0.5); }),
            "std::floor(r + 0.5) rounds negative halves up; std::round takes them away from zero."),
      gives(codes_by(x, d, [](double r) { return std::nearbyint(r); }),
            "Halves go to the even code, as std::rint rounds them. In ggml's files they go away "
            "from zero: std::round, roundf in a kernel."),
      gives(codes_by(x, d, [](double r) { return std::floor(r); }),
            "The quotient is rounded down. Round to the nearest."),
      gives(codes_by(x, d, [](double r) { return std::ceil(r); }),
            "The quotient is rounded up. Round to the nearest."),
      gives(codes_by(x, d, [](double r) { return std::round(std::abs(r)); }),
            "The codes have lost the sign of their values. Magnitudes are for the scale alone."),
      gives(codes_by(x, rounded, nearest), kFromHalf),
      gives(codes_by(x, per_tensor, nearest),
            "Codes by the scale of another block: each block's values are divided by its own."),
      gives(codes_by(x, d, [&](double r) { return to_byte(std::round(r) + 128); }),
            "Something is added to the codes. Eight-bit codes are signed: zero is 0."),
      gives(Values(x.size(), 0.0), "All codes are 0. Is it an integer division, or a zero scale?")};
}

// ---- four bits

inline double step_of(double quotient) { return std::min(15.0, std::floor(quotient + 8.5)); }

// The scale of a block would be right if another of its values were the one of largest magnitude.
inline bool from_other_value(const Values& x, const Values& d) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double other = half(x[i] / -8);
    if (x[i] != 0 && std::abs(other - d[0]) <= 1e-6 * std::abs(other)) return i < kBlock;
  }
  return false;
}

inline std::vector<Mistake> q4_0_scale_mistakes(const Values& x) {
  const auto by = [&](const auto& rule) {
    return scales_by(x, [&](std::size_t from) { return half(rule(from)); });
  };
  const auto largest = [&](std::size_t from) { return signed_largest(x, from); };
  const auto right = [&](std::size_t from) { return half(largest(from) / -8); };
  double all = 0;
  for (const double v : x) all = std::abs(v) > std::abs(all) ? v : all;
  std::vector<Mistake> mistakes;
  const Values last = by([&](std::size_t from) { return signed_largest(x, from, true) / -8; });
  if (last != by([&](std::size_t from) { return largest(from) / -8; })) {
    mistakes.push_back(
        gives(last, "Two values have the largest magnitude: of equals, the first one counts."));
  }
  const std::vector<Mistake> others = {
      gives(by([&](std::size_t) { return all / -8; }),
            "One scale for everything. Each block of 32 has its own: else one large weight makes "
            "the steps coarse for all."),
      gives(scales_at(x, 0, right), kBlocksBegin),
      gives(scales_at(x, 1, right), kBlocksBegin),
      gives(by([&](std::size_t from) { return magnitude(x, from, kBlock) / 8; }),
            "The sign of the largest value is lost. With d = m / -8 it becomes step -8, whatever "
            "its sign; with |m| / 8 a positive one would need step 8, which four bits lack."),
      gives(by([&](std::size_t from) { return magnitude(x, from, kBlock) / 7; }),
            "You divide by 7, which leaves one of the sixteen steps unused. d = m / -8: the "
            "largest value becomes step -8."),
      gives(by([&](std::size_t from) { return largest(from) / 7; }),
            "You divide by 7, and m becomes step 7. d = m / -8: the largest value becomes step "
            "-8, the end that has no counterpart."),
      gives(by([&](std::size_t from) { return magnitude(x, from, kBlock) / -8; }),
            "The sign of m is lost: d = m / -8, where m is the value itself, not its magnitude."),
      gives(by([&](std::size_t from) { return largest(from) / 8; }),
            "The sign of d is wrong: d = m / -8, so that m becomes step -8, the end that has no "
            "counterpart."),
      gives(by([&](std::size_t from) { return largest(from) / -16; }),
            "You divide by 16, the number of steps. From zero to the largest value there are 8."),
      gives(by([&](std::size_t from) { return range(x, from) / 15; }),
            "This is the whole range, from the smallest value to the largest, in 15 steps: a "
            "format with an offset of its own. In Q4_0 zero is code 8, and d = m / -8."),
      gives(by([&](std::size_t from) { return maximum(x, from) / -8; }),
            "This comes from the largest value. m is the one of the largest magnitude, and may "
            "be negative."),
      all_zero(kNotWritten)};
  mistakes.insert(mistakes.end(), others.begin(), others.end());
  mistakes.push_back(when(
      [x](const Answer& a) { return from_other_value(x, a.actual); },
      "The scale comes from another value than the one of largest magnitude. In a kernel: __ffs "
      "counts from 1, and the lanes are asked for their magnitude, not for their value."));
  return mistakes;
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
inline int side_by_side_swapped(int i) { return i / 2 + 16 * (1 - i % 2); }
inline int halves_swapped(int i) { return (i + 16) % kBlock; }

// Right in one half of every block's bytes only.
inline Mistake one_half_right(bool low, const char* nudge) {
  return when(
      [low](const Answer& a) {
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          const bool same = std::abs(a.actual[i] - a.expected[i]) <= a.allowed[i];
          if ((i % kBlock < 16) == low && !same) return false;
        }
        return true;
      },
      nudge);
}

inline std::vector<Mistake> q4_0_layout_mistakes(const Values& right) {
  const char* const neighbours =
      "Neighbours share a byte in your blocks. In ggml's, value i shares byte i with value i + 16.";
  return {
      gives(laid_out(right, side_by_side), neighbours),
      gives(laid_out(right, side_by_side_swapped), neighbours),
      gives(laid_out(right, halves_swapped),
            "The halves of the bytes are exchanged: value i goes to the low half, i + 16 to the "
            "high one."),
      one_half_right(true,
                     "The low halves are right, the high ones are not: byte i's high half is the "
                     "code of value i + 16, moved up by 4 bits."),
      one_half_right(false,
                     "The high halves are right, the low ones are not: byte i's low half is the "
                     "code of value i.")};
}

// Codes of 16, with nothing that keeps them in four bits.
inline std::vector<Mistake> q4_0_overflows(const Values& x, const Values& d) {
  const char* const nudge =
      "The value at the other end of the range becomes 16, which four bits read as 0: the "
      "largest weight becomes its opposite. Not more than 15.";
  Values spilled = codes_by(x, d, [](double r) { return std::floor(r + 8.5); });
  Values wrapped = spilled;
  for (double& q : wrapped) q = static_cast<int>(q) & 15;
  for (std::size_t i = 0; i < spilled.size(); ++i) {
    if (i % kBlock >= 16) continue;
    const int byte = static_cast<int>(spilled[i]) | static_cast<int>(spilled[i + 16]) << 4;
    spilled[i] = byte & 15;
    spilled[i + 16] = byte >> 4 & 15;
  }
  return {gives(wrapped, nudge), gives(spilled, nudge)};
}

inline std::vector<Mistake> q4_0_code_mistakes(const Values& x, const Values& d) {
  const Values right = codes_by(x, d, step_of);
  Values rounded, zeros_as_0 = right;
  for (const double of : d) rounded.push_back(half(of));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (d[i / kBlock] == 0) zeros_as_0[i] = 0;
  }
  const auto signed_step = [](double r) {
    return static_cast<int>(std::min(7.0, std::round(r))) & 15;
  };
  const auto limited = [](double step) { return std::clamp(step, 0.0, 15.0); };
  std::vector<Mistake> mistakes = {
      gives(zeros_as_0,
            "A block of zeros has d = 0 and code 8 everywhere, as 0 * 0 + 8.5 gives it: "
            "inverse_of(d) is 0 there, and no case of its own is needed."),
      divided_by_nothing(x),
      gives(codes_by(x, rounded, step_of), kFromHalf),
      gives(codes_by(x, d, [&](double r) { return limited(std::floor(r + 8)); }),
            "The quotient is rounded down. Adding 8.5 instead of 8, before the fraction is cut "
            "off, rounds to the nearest."),
      gives(codes_by(x, d, [&](double r) { return limited(std::round(r) + 8); }),
            "std::round takes a half below zero down, away from zero. floor(x / d + 8.5), which "
            "all of these files are written with, takes every half up."),
      gives(codes_by(x, d, [&](double r) { return limited(std::nearbyint(r) + 8); }),
            "Halves go to the even code, as std::rint rounds them. floor(x / d + 8.5), which all "
            "of these files are written with, takes every half up."),
      gives(codes_by(x, d, signed_step),
            "Your codes have a sign. In Q4_0 they go from 0 to 15, and zero is 8."),
      gives(codes_by(x, d, [&](double r) { return limited(std::floor(r + 0.5)); }),
            "Zero should be code 8: add 8, and a half for rounding. Without them half of the "
            "values have no code."),
      gives(codes_by(x, d, [&](double r) { return limited(std::floor(r + 7.5)); }),
            "Zero should be code 8: add 8, and a half for rounding."),
      gives(codes_by(x, d, [](double r) { return std::clamp(std::floor(r + 8.5), 0.0, 14.0); }),
            "Code 15 is never used: at most 15, not 14.")};
  for (Mistake& m : q4_0_overflows(x, d)) mistakes.push_back(std::move(m));
  for (Mistake& m : q4_0_layout_mistakes(right)) mistakes.push_back(std::move(m));
  return mistakes;
}

}  // namespace tinygpt::lessons
