#include "tests/lessons/grading/exam.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tests/lessons/grading/context.h"
#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {
namespace {

bool all_close(const Values& actual, const Values& wanted, const Values& allowed) {
  if (actual.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const bool close = std::abs(actual[i] - wanted[i]) <= 4 * allowed[i];
    if (!close && actual[i] != wanted[i]) return false;  // infinities are equal, and not close
  }
  return true;
}

// How far two answers lie apart, in errors that are allowed.
double distance(const Values& a, const Values& b, const Values& allowed) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) most = std::max(most, std::abs(a[i] - b[i]) / allowed[i]);
  }
  return most;
}

std::string number(double value) {
  return std::isnan(value) ? "NaN" : fmt::format("{:.7g}", value);
}

std::string element(const std::string& name, std::size_t index, const Shape& shape) {
  return shape.empty() ? name : fmt::format("{}[{}]", name, test::coordinates(index, shape));
}

// The first place where two sequences differ, with what is around it.
template <class Sequence>
std::size_t first_difference(const Sequence& a, const Sequence& b) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (a[i] != b[i]) return i;
  }
  return common;
}

std::string shortened(const std::vector<int>& values) {
  constexpr std::size_t kMost = 24;
  const bool long_one = values.size() > kMost;
  const std::vector<int> shown(
      values.begin(),
      values.begin() + static_cast<std::ptrdiff_t>(long_one ? kMost : values.size()));
  return fmt::format("{{{}{}}}", fmt::join(shown, ", "), long_one ? ", ..." : "");
}

// Bytes that a terminal would not show as they are, escaped.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 80)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += fmt::format("\\{}", c);
    else if (byte < 0x20 || byte >= 0x7f) out += fmt::format("\\x{:02x}", byte);
    else out += c;
  }
  return out + (text.size() > 80 ? "..." : "") + "\"";
}

template <class T>
std::string nudge_for(const T& actual, const std::vector<Exam::Slip<T>>& slips) {
  for (const auto& slip : slips) {
    if (slip.answer == actual) return slip.nudge;
  }
  return "";
}

}  // namespace

Mistake gives(Values wrong_answer, std::string nudge) {
  return {[wrong_answer = std::move(wrong_answer)](const Answer& answer) {
            // Many a mistake makes no difference to some inputs: there it explains nothing.
            const auto& [actual, expected, shape, allowed] = answer;
            return all_close(actual, wrong_answer, allowed) &&
                   distance(actual, wrong_answer, allowed) < distance(actual, expected, allowed);
          },
          std::move(nudge)};
}

Mistake when(std::function<bool(const Answer&)> recognise, std::string nudge) {
  return {std::move(recognise), std::move(nudge)};
}

Exam::Exam(Memory memory) : memory_(memory) {}

Sandbox& Exam::call(std::string text) {
  finish();
  struct FoundInThisCall {};
  if (fault_found()) throw FoundInThisCall{};  // `watch` knows what
  call_ = std::move(text);
  ++calls_;
  set_context(call_);
  const test::Implementation mine{.name = "", .ops = {}, .device = {}, .memory = memory_};
  sandbox_ = std::make_unique<Sandbox>(mine, "", memory_.allocate == host_memory().allocate);
  return *sandbox_;
}

void Exam::wrong(const std::string& problem, const std::string& nudge) const {
  throw Wrong{call_, problem, nudge};
}

void Exam::finish() {
  if (!sandbox_) return;
  const std::string damage = sandbox_->damage();
  sandbox_.reset();
  if (!damage.empty()) wrong(damage, "Compare the loops' ends with the shapes in the contract.");
}

void Exam::judge(const std::string& name, const Values& actual, const Values& expected,
                 const Shape& shape, const Tolerance& tolerance,
                 const std::vector<Mistake>& mistakes) {
  const std::vector<float> floats(actual.begin(), actual.end());
  const test::Comparison found = test::compare(name, floats, expected, shape, tolerance);
  if (found.wrong == 0) return;
  const Answer answer{actual, expected, shape, found.allowed};
  std::string nudge;
  for (const Mistake& mistake : mistakes) {
    if (nudge.empty() && mistake.recognise(answer)) nudge = mistake.nudge;
  }
  std::string problem = fmt::format("{} is {}, expected {}", element(name, found.first, shape),
                                    number(actual[found.first]), number(expected[found.first]));
  if (found.count > 1) {
    problem +=
        fmt::format("\n{} of {} values are wrong; this is the first", found.wrong, found.count);
  }
  if (found.wrong > 1 && found.worst != found.first) {
    problem +=
        fmt::format(", and {} is furthest off: {}, expected {}", element(name, found.worst, shape),
                    number(actual[found.worst]), number(expected[found.worst]));
  }
  // A mistake that is recognised explains more than a pattern does.
  const std::string general = nudge.empty() ? pattern(name, answer) : "";
  if (!general.empty()) problem += "\n" + general;
  const std::string damage = sandbox_ ? sandbox_->damage() : "";
  if (!damage.empty()) problem += "\nAlso: " + damage;
  wrong(problem, nudge);
}

void Exam::expect(const std::string& name, const float* buffer, const Values& expected,
                  const Shape& shape, const Tolerance& tolerance,
                  const std::vector<Mistake>& mistakes) {
  judge(name, sandbox_->values(buffer), expected, shape, tolerance, mistakes);
}

void Exam::expect(const std::string& name, const Values& actual, const Values& expected,
                  const Shape& shape, const Tolerance& tolerance,
                  const std::vector<Mistake>& mistakes) {
  if (actual.size() != expected.size()) {
    wrong(fmt::format("{} has {} values, expected {}", name, actual.size(), expected.size()));
  }
  judge(name, actual, expected, shape, tolerance, mistakes);
}

void Exam::expect_added(const std::string& name, const float* buffer, const Values& gradient,
                        const Shape& shape, Tolerance tolerance,
                        const std::vector<Mistake>& mistakes) {
  const Values expected = sandbox_->added(buffer, gradient, tolerance);
  const Values actual = sandbox_->values(buffer);
  Values added(gradient.size()), start(gradient.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    start[i] = expected[i] - gradient[i];
    added[i] = actual[i] - start[i];
  }
  std::vector<Mistake> all;
  for (const Mistake& mistake : mistakes) {
    all.push_back({[&, mistake](const Answer& answer) {
                     return mistake.recognise({added, gradient, shape, answer.allowed});
                   },
                   mistake.nudge});
  }
  all.push_back(
      gives(gradient,
            "The gradient itself is right, but it replaces what was there. Gradients accumulate: "
            "use += where you have =."));
  all.push_back(gives(start, "The buffer is as it was before the call: nothing was added to it."));
  judge(name, actual, expected, shape, tolerance, all);
}

void Exam::expect_equal(const std::string& name, const std::vector<int>& actual,
                        const std::vector<int>& expected,
                        const std::vector<Slip<std::vector<int>>>& slips) {
  if (actual == expected) return;
  const std::size_t at = first_difference(actual, expected);
  const auto there = [&](const std::vector<int>& values) {
    return at < values.size() ? std::to_string(values[at]) : "nothing, since it has ended";
  };
  wrong(fmt::format("{} is {}, expected {}\nthe first difference is at [{}]: {}, expected {}", name,
                    shortened(actual), shortened(expected), at, there(actual), there(expected)),
        nudge_for(actual, slips));
}

void Exam::expect_equal(const std::string& name, const std::string& actual,
                        const std::string& expected, const std::vector<Slip<std::string>>& slips) {
  if (actual == expected) return;
  const std::size_t at = first_difference(actual, expected);
  std::string problem =
      fmt::format("{} is {}, expected {}", name, quoted(actual), quoted(expected));
  if (at > 0) problem += fmt::format("\nthe first difference is at byte {}", at);
  wrong(problem, nudge_for(actual, slips));
}

void Exam::expect_equal(const std::string& name, std::int64_t actual, std::int64_t expected,
                        const std::vector<Slip<std::int64_t>>& slips) {
  if (actual == expected) return;
  wrong(fmt::format("{} is {}, expected {}", name, actual, expected), nudge_for(actual, slips));
}

void Exam::expect_true(bool ok, const std::string& problem, const std::string& nudge) {
  if (!ok) wrong(problem, nudge);
}

}  // namespace tinygpt::lessons
