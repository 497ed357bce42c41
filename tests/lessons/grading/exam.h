// How an exercise is examined: calls with awkward inputs, exact expectations, and words for what is
// wrong.
//
// A grader is a file of tests/lessons/NN-name/ that examines the exercise file of the same name
// (NN-name/softmax_cu.cpp: softmax.cu). It defines tasks(); main.cpp runs them and writes verdicts.
// It includes the headers of solutions/, and is compiled with ref renamed to mine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

namespace tinygpt::lessons {

using test::Axis;
using test::random_tokens;
using test::random_values;
using test::Sandbox;
using test::Shape;
using test::Tolerance;
using test::Values;

// What a learner's code answered, for a Mistake to recognise.
struct Answer {
  const Values& actual;
  const Values& expected;
  const Shape& shape;
  const Values& allowed;  // the error that each value may have
};

// A mistake that people make, and what to say to somebody who has made it.
struct Mistake {
  std::function<bool(const Answer&)> recognise;
  std::string nudge;
};

// Recognised by its numbers: every value is what code with the mistake would have answered.
Mistake gives(Values wrong_answer, std::string nudge);
Mistake when(std::function<bool(const Answer&)> recognise, std::string nudge);

// Ends the examination of a task. All three are for the learner to read; nudge may be empty.
struct Wrong {
  std::string call, problem, nudge;
};

class Exam {
 public:
  explicit Exam(Memory memory = host_memory());

  // Begins one call, such as "softmax_forward(N=3, V=65)", and hands out a sandbox for its
  // arguments: make them in the order in which they are passed, since messages count them. If the
  // call crashes, throws or never ends, its text is what the learner sees. What it must not write
  // is looked at when the next call begins, or at the end.
  Sandbox& call(std::string text);

  // The named result must be close to what is expected.
  void expect(const std::string& name, const float* buffer, const Values& expected,
              const Shape& shape, const Tolerance& tolerance = {},
              const std::vector<Mistake>& mistakes = {});
  // For a gradient: what the buffer held at first, plus `gradient`. `mistakes` are given as what
  // is added, too.
  void expect_added(const std::string& name, const float* buffer, const Values& gradient,
                    const Shape& shape, Tolerance tolerance = {},
                    const std::vector<Mistake>& mistakes = {});
  // The same for numbers that are in no sandbox.
  void expect(const std::string& name, const Values& actual, const Values& expected,
              const Shape& shape, const Tolerance& tolerance = {},
              const std::vector<Mistake>& mistakes = {});

  // Exact answers. A mistake is an answer and its nudge.
  template <class T>
  struct Slip {
    T answer;
    std::string nudge;
  };
  void expect_equal(const std::string& name, const std::vector<int>& actual,
                    const std::vector<int>& expected,
                    const std::vector<Slip<std::vector<int>>>& slips = {});
  void expect_equal(const std::string& name, const std::string& actual, const std::string& expected,
                    const std::vector<Slip<std::string>>& slips = {});
  void expect_equal(const std::string& name, std::int64_t actual, std::int64_t expected,
                    const std::vector<Slip<std::int64_t>>& slips = {});
  void expect_true(bool ok, const std::string& problem, const std::string& nudge = "");

  [[noreturn]] void wrong(const std::string& problem, const std::string& nudge = "") const;

  void finish();  // looks for forbidden writes of the last call
  int calls() const { return calls_; }
  const std::string& current() const { return call_; }
  const Memory& memory() const { return memory_; }

 private:
  void judge(const std::string& name, const Values& actual, const Values& expected,
             const Shape& shape, const Tolerance& tolerance, const std::vector<Mistake>& mistakes);

  Memory memory_;
  std::string call_;
  std::unique_ptr<Sandbox> sandbox_;
  int calls_ = 0;
};

// Words for a pattern that any code may show: nothing written, all values twice what they should
// be, only the last column wrong, rows and columns swapped. Empty where there is none.
std::string pattern(const std::string& name, const Answer& answer);

// A run on a fixed size whose memory traffic is worth showing beside the solution's.
struct ProfileRun {
  std::string what;  // "a 256 x 256 product"
  std::function<void(const Memory&)> run;
  double flops = 0;
};

struct Task {
  std::string id;  // as in lesson.json: "04.softmax_forward"
  std::function<void(Exam&)> examine;
  ProfileRun profile = {};  // for CUDA tasks
};

// Each grader defines its own.
std::vector<Task> tasks();

}  // namespace tinygpt::lessons
