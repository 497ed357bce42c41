// Grades exercises/03-matmul/matmul.cu.
#include "solutions/03-matmul/matmul.cuh"

#include <fmt/format.h>

#include <cmath>

#include "tests/lessons/03-matmul/product.h"
#include "tests/lessons/grading/device.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

// More outputs than 1,024 blocks of threads have: who exchanges grid and block is found out.
void examine_plain(Exam& exam, const char* name, Product* product, bool by_rows) {
  const auto too_few = [by_rows](const Answer& a) {
    const auto M = static_cast<std::size_t>(a.shape[0].size),
               N = static_cast<std::size_t>(a.shape[1].size);
    const auto written = [&](std::size_t i) {
      return !std::isnan(a.actual[by_rows ? i : i % M * N + i / M]);
    };
    std::size_t end = 0;
    while (end < M * N && written(end)) ++end;
    for (std::size_t i = end; i < M * N; ++i) {
      if (written(i)) return false;
    }
    return end > 0;
  };
  examine_product(exam, name, product,
                  {when(too_few,
                        "The grid ends before the outputs do: there are M * N of them, and "
                        "each needs a thread.")});
  exam.call(fmt::format("{}(M=1025, N=257, K=1)", name));
  run_product(exam.memory(), product, 1025, 257, 1);
}

// The right numbers are not enough here: the profiler tells whether a warp's loads are one piece.
void examine_coalesced(Exam& exam, Product* product) {
  examine_plain(exam, "matmul_coalesced", product, true);
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
       [](Exam& e) { examine_plain(e, "matmul_naive", ref_cuda::matmul_naive, false); },
       profile_product(ref_cuda::matmul_naive)},
      {"03.matmul_coalesced_cuda",
       [](Exam& e) { examine_coalesced(e, ref_cuda::matmul_coalesced); },
       profile_product(ref_cuda::matmul_coalesced)},
  };
}

}  // namespace tinygpt::lessons
