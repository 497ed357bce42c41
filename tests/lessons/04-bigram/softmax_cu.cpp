// Grades exercises/04-bigram/softmax.cu.
#include "solutions/04-bigram/softmax.cuh"
#include "tests/lessons/04-bigram/softmax_exam.h"
#include "tests/lessons/grading/device.h"

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
           [run](Exam& e) {
             examine_softmax(e, "softmax_forward", ref_cuda::softmax_forward, false,
                             block_mistakes);
             e.call("softmax_forward(N=4, V=1024), watched by the profiler");
             const double sectors = sectors_per_request([&] { run(e.memory()); });
             e.expect_true(
                 sectors < 5,
                 fmt::format("a warp's request moves {:.1f} sectors of 32 bytes on average; 4 are "
                             "enough",
                             sectors),
                 "Neighbouring threads must read neighbouring values: thread i takes i, i + 256, i "
                 "+ 512, ..., and no stretch of its own.");
           },
           {"4 rows of 1,024", run}}};
}

}  // namespace tinygpt::lessons
