// Grades exercises/00-first-steps/first_steps.cpp.
#include "solutions/00-first-steps/first_steps.h"

#include "tests/lessons/00-first-steps/arrays_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {{"00.axpy", [](Exam& e) { examine_axpy(e, ref::axpy); }},
          {"00.scale", [](Exam& e) { examine_scale(e, ref::scale); }}};
}

}  // namespace tinygpt::lessons
