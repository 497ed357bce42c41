// Grades exercises/24-quantized-inference/matvec.cpp.
#include "solutions/24-quantized-inference/quantized.h"
#include "tests/lessons/24-quantized-inference/matvec_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {{"24.matvec_q8_0",
           [](Exam& e) { examine_matvec<BlockQ8_0>(e, "matvec_q8_0", ref::matvec_q8_0); }},
          {"24.matvec_q4_0",
           [](Exam& e) { examine_matvec<BlockQ4_0>(e, "matvec_q4_0", ref::matvec_q4_0); }}};
}

}  // namespace tinygpt::lessons
