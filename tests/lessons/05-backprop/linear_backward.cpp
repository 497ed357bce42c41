// Grades exercises/05-backprop/linear_backward.cpp.
#include "solutions/05-backprop/backprop.h"
#include "tests/lessons/05-backprop/linear_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {
      {"05.linear_backward", [](Exam& e) {
         examine_linear_backward(
             e, ref::linear_backward,
             {{true, true, true}, {true, false, true}, {false, true, false}, {true, true, false}});
       }}};
}

}  // namespace tinygpt::lessons
