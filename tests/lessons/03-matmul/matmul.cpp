// Grades exercises/03-matmul/matmul.cpp.
#include "solutions/03-matmul/matmul.h"

#include <fmt/format.h>

#include "tests/lessons/03-matmul/product.h"
#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {
namespace {

struct Size {
  int M, N, K;
};

// Shapes with a place for each thing that goes wrong: nothing, one of each, tiles that do not come
// out even, and one more than a tile.
const std::vector<Size> kSizes = {{0, 3, 2}, {1, 1, 1},  {2, 3, 4},   {3, 2, 0},
                                  {5, 7, 3}, {2, 65, 3}, {3, 5, 130}, {33, 67, 65}};

void examine_linear(Exam& exam) {
  for (const auto& [N, OC, C] : kSizes) {
    for (const bool with_bias : {true, false}) {
      const Values x = random_values(std::int64_t{N} * C, 1),
                   weight = random_values(std::int64_t{OC} * C, 2);
      const Values bias =
          with_bias ? random_values(OC, 3) : Values(static_cast<std::size_t>(OC), 0.0);
      const test::Exact expected = test::linear_equation(N, C, OC).forward({x, weight, bias});
      Sandbox& s = exam.call(fmt::format("linear_forward(N={}, C={}, OC={}{})", N, C, OC,
                                         with_bias ? "" : ", bias=nullptr"));
      float* out = s.output(std::int64_t{N} * OC);
      const float *x_ = s.input(x), *weight_ = s.input(weight),
                  *bias_ = with_bias ? s.input(bias) : nullptr;
      ref::linear_forward(out, x_, weight_, bias_, s.scratch(ref::linear_scratch_size(N, C, OC)), N,
                          C, OC);
      Values without = expected.value;
      Values many = expected.value;
      for (std::size_t i = 0; i < without.size(); ++i) {
        without[i] -= bias[i % static_cast<std::size_t>(OC)];
        many[i] += (C - 1) * bias[i % static_cast<std::size_t>(OC)];
      }
      exam.expect(
          "out", out, expected.value, {{"n", N}, {"o", OC}},
          {.terms = static_cast<double>(C), .magnitudes = expected.magnitude},
          {gives(without, "Only the bias is missing."),
           gives(many,
                 "The bias is added once for every term of the sum. It belongs to the sum once.")});
    }
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"03.matmul_naive", [](Exam& e) { examine_product(e, "matmul_naive", ref::matmul_naive); }},
      {"03.matmul_tiled", [](Exam& e) { examine_product(e, "matmul_tiled", ref::matmul_tiled); }},
      {"03.linear_forward", examine_linear},
  };
}

}  // namespace tinygpt::lessons
