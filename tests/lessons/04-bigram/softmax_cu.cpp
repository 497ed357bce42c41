// Grades exercises/04-bigram/softmax.cu.
#include "solutions/04-bigram/softmax.cuh"
#include "tests/lessons/04-bigram/softmax_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  const auto run = [](const Memory& memory) {
    constexpr std::size_t kBytes = 4 * 1024 * sizeof(float);
    auto* x = static_cast<float*>(memory.allocate(kBytes));
    auto* out = static_cast<float*>(memory.allocate(kBytes));
    memory.zero(x, kBytes);
    ref_cuda::softmax_forward(out, x, 4, 1024);
    memory.release(x);
    memory.release(out);
  };
  return {{"04.softmax_forward_cuda",
           [](Exam& e) { examine_softmax(e, "softmax_forward", ref_cuda::softmax_forward, false); },
           {"4 rows of 1,024", run}}};
}

}  // namespace tinygpt::lessons
