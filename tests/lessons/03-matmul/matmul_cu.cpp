// Grades exercises/03-matmul/matmul.cu.
#include "solutions/03-matmul/matmul.cuh"

#include <fmt/format.h>

#include "tests/lessons/03-matmul/product.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

ProfileRun profile_of(Product* product) {
  return {"a product of 64 x 64 matrices",
          [product](const Memory& memory) { run_product(memory, product, 64, 64, 64); }};
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"03.matmul_naive_cuda",
       [](Exam& e) { examine_product(e, "matmul_naive", ref_cuda::matmul_naive); },
       profile_of(ref_cuda::matmul_naive)},
  };
}

}  // namespace tinygpt::lessons
