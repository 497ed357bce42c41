// Grades exercises/13-training-loop/gradient_norm.cu.
#include <memory>
#include <utility>

#include "solutions/13-training-loop/optimizer.cuh"
#include "tests/lessons/13-training-loop/norm_exam.h"

namespace tinygpt::lessons {

std::vector<Task> tasks() {
  const auto run = [](const Memory& memory) {
    constexpr std::int64_t kCount = 16'384;
    constexpr std::size_t kBytes = kCount * sizeof(float);
    auto* grad = static_cast<float*>(memory.allocate(kBytes));
    auto* rest = static_cast<float*>(memory.allocate(kBytes));
    memory.zero(grad, kBytes);
    ref_cuda::gradient_norm(rest, grad, rest + 16, kCount);
    memory.release(grad);
    memory.release(rest);
  };
  // More than 1,024 blocks of 256 threads: each comes round a second time. That takes the emulator
  // a while, so the later rounds, which differ in the order of threads alone, leave it out.
  const auto most = std::make_shared<std::int64_t>(1024 * 256 + 5);
  return {{"13.gradient_norm_cuda",
           [most](Exam& e) {
             examine_norm(e, ref_cuda::gradient_norm, ref_cuda::gradient_norm_scratch_size,
                          std::exchange(*most, 0));
           },
           {"16,384 values", run}}};
}

}  // namespace tinygpt::lessons
