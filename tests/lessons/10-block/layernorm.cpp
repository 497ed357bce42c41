// Grades exercises/10-block/layernorm.cpp.
#include "solutions/10-block/block.h"
#include "tests/lessons/10-block/norm_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {{"10.layernorm_forward",
           [](Exam& e) { examine_layernorm_forward(e, ref::layernorm_forward); }},
          {"10.layernorm_backward", [](Exam& e) {
             examine_layernorm_backward(
                 e, ref::layernorm_backward,
                 {{3, 4}, {1, 1}, {0, 3}, {5, 2}, {1, 7}, {4, 17}, {9, 64}, {65, 8}, {3, 257}},
                 ref::norm_scratch_size);
           }}};
}

}  // namespace tinygpt::lessons
