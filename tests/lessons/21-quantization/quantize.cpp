// Grades exercises/21-quantization/quantize.cpp.
#include "solutions/21-quantization/quantize.h"

#include "tests/lessons/21-quantization/values_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  return {{"21.quantize_q8_0", [](Exam& e) { examine_q8_0(e, ref::quantize_q8_0); }},
          {"21.quantize_q4_0", [](Exam& e) { examine_q4_0(e, ref::quantize_q4_0); }},
          {"21.dequantize", [](Exam& e) {
             examine_from_q8_0(e, ref::dequantize_q8_0);
             examine_from_q4_0(e, ref::dequantize_q4_0);
           }}};
}

}  // namespace tinygpt::lessons
