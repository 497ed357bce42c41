// Grades exercises/24-quantized-inference/matvec.cu.
#include "solutions/24-quantized-inference/quantized.cuh"
#include "tests/lessons/24-quantized-inference/matvec_exam.h"

namespace tinygpt::lessons {
namespace {

// 64 rows of 512 values, for the traffic.
template <class Block, class Function>
void run_product(const Memory& memory, Function* matvec) {
  constexpr int kRows = 64, kCols = 512;
  constexpr std::size_t kBlocks = kCols / kQuantBlock, kBytes = kRows * kBlocks * sizeof(Block);
  void* w = memory.allocate(kBytes);
  void* x = memory.allocate(kBlocks * sizeof(BlockQ8_0));
  auto* out = static_cast<float*>(memory.allocate(kRows * sizeof(float)));
  memory.zero(w, kBytes);
  memory.zero(x, kBlocks * sizeof(BlockQ8_0));
  matvec(out, static_cast<const Block*>(w), static_cast<const BlockQ8_0*>(x), kRows, kCols);
  memory.release(w);
  memory.release(x);
  memory.release(out);
}

}  // namespace

std::vector<Task> tasks() {
  return {{"24.matvec_q8_0_cuda",
           [](Exam& e) { examine_matvec<BlockQ8_0>(e, "matvec_q8_0", ref_cuda::matvec_q8_0); },
           {"a matrix of 64 x 512 in Q8_0",
            [](const Memory& m) { run_product<BlockQ8_0>(m, ref_cuda::matvec_q8_0); }}},
          {"24.matvec_q4_0_cuda",
           [](Exam& e) { examine_matvec<BlockQ4_0>(e, "matvec_q4_0", ref_cuda::matvec_q4_0); },
           {"a matrix of 64 x 512 in Q4_0",
            [](const Memory& m) { run_product<BlockQ4_0>(m, ref_cuda::matvec_q4_0); }}}};
}

}  // namespace tinygpt::lessons
