// Patterns in what is wrong that need no knowledge of the operator.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

bool is_wrong(const Answer& a, std::size_t i) {
  return !(a.actual[i] == a.expected[i] || std::abs(a.actual[i] - a.expected[i]) <= a.allowed[i]);
}

template <class Predicate>
bool everywhere(const Answer& a, Predicate&& predicate) {
  for (std::size_t i = 0; i < a.actual.size(); ++i) {
    if (!predicate(i)) return false;
  }
  return true;
}

std::string not_written(const Answer& a) {
  const bool all = everywhere(a, [&](std::size_t i) { return std::isnan(a.actual[i]); });
  const bool some = !everywhere(
      a, [&](std::size_t i) { return !std::isnan(a.actual[i]) || std::isnan(a.expected[i]); });
  if (all) {
    return "All values are NaN, as they were before the call: was anything written, and with = "
           "rather than +=? (Reading past "
           "the end of an input gives NaN, too.)";
  }
  if (some) {
    return "NaN is what was there before the call, so this place was not written; or it was "
           "computed from a place past the end of an input, which holds NaN, too.";
  }
  return "";
}

std::string constant_factor(const Answer& a) {
  std::size_t largest = 0;
  for (std::size_t i = 0; i < a.expected.size(); ++i) {
    if (std::abs(a.expected[i]) > std::abs(a.expected[largest])) largest = i;
  }
  if (a.actual.size() < 2 || std::abs(a.expected[largest]) < 1e-20) return "";
  const double factor = a.actual[largest] / a.expected[largest];
  if (!std::isfinite(factor)) return "";
  const bool same = everywhere(a, [&](std::size_t i) {
    return std::abs(a.actual[i] - factor * a.expected[i]) <= 4 * a.allowed[i];
  });
  if (!same) return "";
  if (factor == 0) return "Every value is 0.";
  if (std::abs(factor + 1) < 1e-3) return "Every value has the wrong sign.";
  return fmt::format("Every value is {:.4g} times what it should be.", factor);
}

std::string constant_shift(const Answer& a) {
  if (a.actual.size() < 2) return "";
  const double shift = a.actual[0] - a.expected[0];
  if (!std::isfinite(shift)) return "";
  const bool same = everywhere(a, [&](std::size_t i) {
    return std::abs(a.actual[i] - a.expected[i] - shift) <= 4 * a.allowed[i];
  });
  return same ? fmt::format("Every value is off by the same {:.4g}.", shift) : "";
}

// For one axis: the wrong places are all in one stretch of it, which is not the whole axis.
std::string one_stretch(const std::string& name, const Answer& a) {
  std::int64_t inner = 1;
  for (std::size_t axis = a.shape.size(); axis-- > 0;) {
    const int size = a.shape[axis].size;
    std::vector<bool> wrong(static_cast<std::size_t>(size), false);
    for (std::size_t i = 0; i < a.actual.size(); ++i) {
      if (is_wrong(a, i)) {
        wrong[static_cast<std::size_t>((static_cast<std::int64_t>(i) / inner) % size)] = true;
      }
    }
    inner *= size;
    const auto begin = std::find(wrong.begin(), wrong.end(), true) - wrong.begin();
    const auto end = wrong.rend() - std::find(wrong.rbegin(), wrong.rend(), true);
    const bool whole = begin == 0 && end == size;
    const bool solid =
        std::all_of(wrong.begin() + begin, wrong.begin() + end, [](bool w) { return w; });
    if (whole || !solid) continue;
    const std::string& label = a.shape[axis].name;
    if (end - begin == 1) {
      const char* which = begin == 0 ? ", the first," : begin + 1 == size ? ", the last," : "";
      return fmt::format("{} is wrong only where {} is {}{} of {}.", name, label, begin, which,
                         size);
    }
    if (end == size)
      return fmt::format("{} is wrong only where {} >= {} (of {}).", name, label, begin, size);
    if (begin == 0)
      return fmt::format("{} is wrong only where {} < {} (of {}).", name, label, end, size);
    return fmt::format("{} is wrong only where {} is {} to {} (of {}).", name, label, begin,
                       end - 1, size);
  }
  return "";
}

std::string transposed(const Answer& a) {
  if (a.shape.size() != 2) return "";
  const auto rows = static_cast<std::size_t>(a.shape[0].size);
  const auto cols = static_cast<std::size_t>(a.shape[1].size);
  if (rows < 2 || cols < 2) return "";
  const bool same = everywhere(a, [&](std::size_t i) {
    const std::size_t other = (i % rows) * cols + i / rows;
    return std::abs(a.actual[i] - a.expected[other]) <= 4 * a.allowed[other];
  });
  return same ? "The values are right, but rows and columns are swapped." : "";
}

}  // namespace

std::string pattern(const std::string& name, const Answer& answer) {
  if (answer.actual.empty()) return "";
  for (const std::string& words :
       {not_written(answer), constant_factor(answer), constant_shift(answer), transposed(answer),
        one_stretch(name, answer)}) {
    if (!words.empty()) return words;
  }
  return "";
}

}  // namespace tinygpt::lessons
