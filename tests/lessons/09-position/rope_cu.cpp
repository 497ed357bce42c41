// Grades exercises/09-position/rope.cu.
#include <fmt/format.h>

#include <utility>

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

// More pairs than the largest grid of blocks_for has threads, each turned by a right angle.
void examine_large(Exam& exam) {
  constexpr int kTime = 2, kHeads = 8300, kSize = 128, kHalf = kSize / 2;
  constexpr std::size_t kRow = std::size_t{kHeads} * kSize;
  Sandbox& s = exam.call(
      fmt::format("rope_forward(B=1, T={}, heads={}, HS={}, stride={}, start=0), a quarter turn",
                  kTime, kHeads, kSize, kRow));
  const Values in(kTime * kRow, 1.0);
  Values expected = in;
  for (std::size_t k = 0; k < expected.size(); ++k) expected[k] = k % kSize < kHalf ? -1 : 1;
  float* x = s.accumulator(in);
  const float* cosine = s.input(Values(std::size_t{kTime} * kHalf, 0.0));
  const float* sine = s.input(Values(std::size_t{kTime} * kHalf, 1.0));
  ref_cuda::rope_forward(x, cosine, sine, 1, kTime, kHeads, kSize, static_cast<int>(kRow), 0);
  exam.expect("x", x, expected, {{"t", kTime}, {"column", static_cast<int>(kRow)}}, {},
              {when([](const Answer& a) { return a.actual[0] < 0 && a.actual.back() > 0; },
                    "The first pairs are turned and later ones are not. blocks_for launches 4,096 "
                    "blocks at most: threads come round for more pairs, in steps of "
                    "index_stride().")});
}

void examine(Exam& exam) {
  examine_rope(exam, "rope_forward", ref_cuda::rope_forward<float>, 1);
  examine_rope(exam, "rope_backward", ref_cuda::rope_backward<float>, -1);
  static bool seen_large = false;  // one order of so many threads says it all
  if (!std::exchange(seen_large, true)) examine_large(exam);
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
