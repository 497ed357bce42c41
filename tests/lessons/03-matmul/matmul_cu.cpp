// Grades exercises/03-matmul/matmul.cu.
#include "solutions/03-matmul/matmul.cuh"

#include <fmt/format.h>

#include "tests/lessons/03-matmul/product.h"
#include "tests/lessons/grading/device.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

// The right numbers are not enough here: the profiler tells whether a warp's loads are one piece.
void examine_coalesced(Exam& exam, Product* product) {
  examine_product(exam, "matmul_coalesced", product);
  exam.call("matmul_coalesced(M=64, N=64, K=64), watched by the profiler");
  const double sectors =
      sectors_per_request([&] { run_product(exam.memory(), product, 64, 64, 64); });
  exam.expect_true(
      sectors < 5,
      fmt::format("a warp's request moves {:.1f} sectors of 32 bytes on average", sectors),
      "Neighbouring threads must be in neighbouring columns: then their 32 loads of b are one "
      "piece of "
      "128 bytes, 4 sectors, and the one value of a that they share is 1. Which of m and n is i % "
      "N?");
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"03.matmul_naive_cuda",
       [](Exam& e) { examine_product(e, "matmul_naive", ref_cuda::matmul_naive); },
       profile_product(ref_cuda::matmul_naive)},
      {"03.matmul_coalesced_cuda",
       [](Exam& e) { examine_coalesced(e, ref_cuda::matmul_coalesced); },
       profile_product(ref_cuda::matmul_coalesced)},
  };
}

}  // namespace tinygpt::lessons
