// Grades exercises/00-first-steps/first_steps.cu.
#include "solutions/00-first-steps/first_steps.cuh"
#include "tests/lessons/00-first-steps/arrays_exam.h"

namespace tinygpt::lessons {
namespace {

ProfileRun profile_of(ArrayFunction* function) {
  return {"an array of 4,000", [function](const Memory& memory) {
            constexpr std::int64_t kCount = 4000;
            constexpr std::size_t kBytes = kCount * sizeof(float);
            auto* y = static_cast<float*>(memory.allocate(kBytes));
            auto* x = static_cast<float*>(memory.allocate(kBytes));
            memory.zero(y, kBytes);
            memory.zero(x, kBytes);
            function(y, x, 2.0f, kCount);
            memory.release(x);
            memory.release(y);
          }};
}

}  // namespace

std::vector<Task> tasks() {
  return {{"00.axpy_cuda", [](Exam& e) { examine_axpy(e, ref_cuda::axpy); },
           profile_of(ref_cuda::axpy)},
          {"00.scale_cuda", [](Exam& e) { examine_scale(e, ref_cuda::scale); },
           profile_of(ref_cuda::scale)}};
}

}  // namespace tinygpt::lessons
