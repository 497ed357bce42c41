// Grades exercises/09-position/rope.cpp.
#include "solutions/09-position/position.h"
#include "tests/lessons/09-position/rope_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {
      {"09.rope_forward", [](Exam& e) { examine_rope(e, "rope_forward", ref::rope_forward, 1); }},
      {"09.rope_backward",
       [](Exam& e) { examine_rope(e, "rope_backward", ref::rope_backward, -1); }}};
}

}  // namespace tinygpt::lessons
