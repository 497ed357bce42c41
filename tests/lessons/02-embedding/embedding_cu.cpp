// Grades exercises/02-embedding/embedding.cu.
#include "solutions/02-embedding/embedding.cuh"
#include "tests/lessons/02-embedding/embedding_exam.h"

namespace tinygpt::lessons {
namespace {

ProfileRun profile_of(bool forward) {
  return {"32 tokens, rows of 256", [forward](const Memory& memory) {
            constexpr int kRows = 32, kWidth = 256;
            constexpr std::size_t kBytes = kRows * kWidth * sizeof(float);
            auto* table = static_cast<float*>(memory.allocate(kBytes));
            auto* rows = static_cast<float*>(memory.allocate(kBytes));
            auto* tokens = static_cast<int*>(memory.allocate(kRows * sizeof(int)));
            memory.zero(table, kBytes);
            memory.zero(rows, kBytes);
            memory.copy_in(tokens, random_tokens(kRows, kRows, 1).data(), kRows * sizeof(int));
            if (forward)
              ref_cuda::embedding_forward(rows, tokens, static_cast<const float*>(table), kRows,
                                          kWidth, kRows);
            else
              ref_cuda::embedding_backward(table, static_cast<const float*>(rows), tokens, kRows,
                                           kWidth, kRows);
            memory.release(tokens);
            memory.release(rows);
            memory.release(table);
          }};
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"02.embedding_forward_cuda",
       [](Exam& e) { examine_gather(e, ref_cuda::embedding_forward<float>); }, profile_of(true)},
      {"02.embedding_backward_cuda",
       [](Exam& e) {
         examine_scatter(e, ref_cuda::embedding_backward<float>);
         examine_order(e, ref_cuda::embedding_backward<float>);
       },
       profile_of(false)}};
}

}  // namespace tinygpt::lessons
