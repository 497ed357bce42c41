// Grades exercises/09-position/rope.cu.
#include <fmt/format.h>

#include "solutions/09-position/position.cuh"
#include "tests/lessons/09-position/rope_exam.h"
#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {
namespace {

// 8 rows of 16 heads of 64, in rows that hold two heads more.
void run_rope(const Memory& memory) {
  constexpr int kTime = 8, kHeads = 16, kSize = 64, kStride = 18 * kSize;
  constexpr std::size_t kRows = kTime * kStride * sizeof(float);
  constexpr std::size_t kTable = kTime * kSize / 2 * sizeof(float);
  auto* x = static_cast<float*>(memory.allocate(kRows));
  auto* cosine = static_cast<float*>(memory.allocate(kTable));
  auto* sine = static_cast<float*>(memory.allocate(kTable));
  memory.zero(x, kRows), memory.zero(cosine, kTable), memory.zero(sine, kTable);
  ref_cuda::rope_forward(x, cosine, sine, 1, kTime, kHeads, kSize, kStride, 0);
  memory.release(sine);
  memory.release(cosine);
  memory.release(x);
}

void examine(Exam& exam) {
  examine_rope(exam, "rope_forward", ref_cuda::rope_forward<float>, 1);
  examine_rope(exam, "rope_backward", ref_cuda::rope_backward<float>, -1);
  exam.call(
      "rope_forward(B=1, T=8, heads=16, HS=64, stride=1152, start=0), watched by the profiler");
  const double sectors = sectors_per_request([&] { run_rope(exam.memory()); });
  exam.expect_true(
      sectors < 5,
      fmt::format("a warp's request moves {:.1f} sectors of 32 bytes on average", sectors),
      "Neighbouring threads must have neighbouring pairs of the same head: then 32 of them read "
      "one piece of 128 bytes, 4 sectors. Which part of the pair's number is i?");
}

}  // namespace

std::vector<Task> tasks() {
  return {{"09.rope_cuda", examine, {"8 rows with 16 heads of 64 to turn", run_rope}}};
}

}  // namespace tinygpt::lessons
