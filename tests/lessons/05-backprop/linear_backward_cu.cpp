// Grades exercises/05-backprop/linear_backward.cu.
#include "solutions/05-backprop/backprop.cuh"
#include "tests/lessons/05-backprop/linear_exam.h"

namespace tinygpt::lessons {
namespace {

ProfileRun profile_of(bool weight) {
  return {"64 rows, 64 inputs, 64 outputs", [weight](const Memory& memory) {
            constexpr int kSide = 64;
            constexpr std::size_t kBytes = kSide * kSide * sizeof(float);
            float* arrays[4];
            for (float*& array : arrays) {
              array = static_cast<float*>(memory.allocate(kBytes));
              memory.zero(array, kBytes);
            }
            ref_cuda::linear_backward<float>(nullptr, weight ? arrays[0] : nullptr,
                                             weight ? nullptr : arrays[0], arrays[1], arrays[2],
                                             arrays[3], nullptr, kSide, kSide, kSide);
            for (float* array : arrays) memory.release(array);
          }};
}

}  // namespace

std::vector<Task> tasks() {
  return {{"05.weight_gradient_cuda",
           [](Exam& e) {
             examine_linear_backward(e, ref_cuda::linear_backward<float>, {{false, true, false}});
           },
           profile_of(true)},
          {"05.bias_gradient_cuda",
           [](Exam& e) {
             examine_linear_backward(e, ref_cuda::linear_backward<float>, {{false, false, true}});
           },
           profile_of(false)}};
}

}  // namespace tinygpt::lessons
