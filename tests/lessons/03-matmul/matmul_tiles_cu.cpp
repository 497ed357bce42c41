// Grades exercises/03-matmul/matmul_tiles.cu.
#include "solutions/03-matmul/matmul.cuh"

#include "tests/lessons/03-matmul/product.h"
#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {
namespace {

// Values that a kernel loads from global memory for each that it computes with: what tiles are for.
void examine_traffic(Exam& exam, const char* name, Product* product, double most) {
  examine_product(exam, name, product);
  exam.call(std::string(name) + "(M=64, N=64, K=64), watched by the profiler");
  const double loaded = bytes_loaded([&] { run_product(exam.memory(), product, 64, 64, 64); });
  const double naive = 2.0 * 64 * 64 * 64 * sizeof(float);
  exam.expect_true(
      loaded <= naive / most,
      fmt::format(
          "it loads {:.0f} KiB from global memory; without tiles it would be {:.0f}, and a {}th "
          "of that is wanted",
          loaded / 1024, naive / 1024, most),
      "Each value of a tile is to be loaded once, by one thread, into shared memory, where all "
      "threads "
      "of the block read it.");
  const double sectors =
      sectors_per_request([&] { run_product(exam.memory(), product, 64, 64, 64); });
  exam.expect_true(
      sectors < 5,
      fmt::format("a warp's request moves {:.1f} sectors of 32 bytes on average; 4 are enough",
                  sectors),
      "Neighbouring threads must touch neighbours in memory: let threadIdx.x run along a row of a, "
      "of b and of out, and threadIdx.y down the rows.");
}

}  // namespace

std::vector<Task> tasks() {
  return {{"03.matmul_tiled_cuda",
           [](Exam& e) { examine_traffic(e, "matmul_tiled", ref_cuda::matmul_tiled, 16); },
           profile_product(ref_cuda::matmul_tiled)},
          {"03.matmul_register_tiled_cuda",
           [](Exam& e) {
             examine_traffic(e, "matmul_register_tiled", ref_cuda::matmul_register_tiled, 64);
           },
           profile_product(ref_cuda::matmul_register_tiled)}};
}

}  // namespace tinygpt::lessons
