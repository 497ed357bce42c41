// Grades exercises/13-training-loop/adamw.cpp.
#include "solutions/13-training-loop/optimizer.h"
#include "tests/lessons/13-training-loop/adamw_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {{"13.adamw_step", [](Exam& e) { examine_adamw(e, ref::adamw_step); }}};
}

}  // namespace tinygpt::lessons
