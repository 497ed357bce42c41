// Grades exercises/03-matmul/matmul.cpp.
#include "solutions/03-matmul/matmul.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>

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

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool kOptimised = true;
#else
constexpr bool kOptimised = false;
#endif

// The definition, to compare speeds with: down the columns of b.
void by_columns(float* out, const float* a, const float* b, int M, int N, int K) {
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) {
      float sum = 0.0f;
      for (int k = 0; k < K; ++k) sum += a[m * K + k] * b[k * N + n];
      out[m * N + n] = sum;
    }
  }
}

// Seconds of this thread's own work, the best of three: whatever else the machine does.
double seconds_of(Product* product, int M, int N, int K) {
  double best = INFINITY;
  for (int i = 0; i < 3; ++i) {
    timespec start{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    run_product(host_memory(), product, M, N, K);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    best = std::min(best, static_cast<double>(end.tv_sec - start.tv_sec) +
                              1e-9 * static_cast<double>(end.tv_nsec - start.tv_nsec));
  }
  return best;
}

// The right numbers are not enough here: the order of the loops is the task. It makes a factor of
// about 8; half as long as the definition is asked for.
void examine_tiled(Exam& exam) {
  examine_product(
      exam, "matmul_tiled", ref::matmul_tiled,
      {when([](const Answer& a) { return std::isnan(a.actual[0]); },
            "out holds NaN before the call, to which your sums are added: set it to 0 first.")});
  if (!kOptimised) return;
  exam.call("matmul_tiled(M=8, N=1024, K=512), by the clock");
  const double tiled = seconds_of(ref::matmul_tiled, 8, 1024, 512),
               naive = seconds_of(by_columns, 8, 1024, 512);
  exam.expect_true(
      tiled < naive / 2,
      fmt::format("it takes {:.1f} ms, and three loops with k innermost take {:.1f}", 1e3 * tiled,
                  1e3 * naive),
      "The numbers are right, the order is not: put the loop over n innermost, so that "
      "b and out are walked along their rows.");
}

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
      Values by_row = without, turned = expected.value;
      for (int i = 0; i < N * OC; ++i) {
        const int n = i / OC, o = i % OC;
        const auto at = static_cast<std::size_t>(i);
        by_row[at] += n < OC ? bias[static_cast<std::size_t>(n)] : NAN;
        turned[at] = bias[static_cast<std::size_t>(o)];
        for (int c = 0; c < C; ++c) {
          turned[at] +=
              x[static_cast<std::size_t>(n * C + c)] * weight[static_cast<std::size_t>(c * OC + o)];
        }
      }
      exam.expect(
          "out", out, expected.value, {{"n", N}, {"o", OC}},
          {.terms = static_cast<double>(C), .magnitudes = expected.magnitude},
          {gives(without, "Only the bias is missing."),
           gives(by_row, "The bias is taken by row. It has one number for each output: bias[o]."),
           gives(turned,
                 "The weight is read as [C, OC]. It is stored [OC, C]: weight[o, c] is at o * C + "
                 "c, and a row of it belongs to one output."),
           when([&](const Answer& a) { return !with_bias && std::isnan(a.actual[0]); },
                "Without a bias the sum is to be written all the same."),
           gives(many,
                 "The bias is added once for every term of the sum. It belongs to the sum once.")});
    }
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"03.matmul_naive", [](Exam& e) { examine_product(e, "matmul_naive", ref::matmul_naive); }},
      {"03.matmul_tiled", examine_tiled},
      {"03.linear_forward", examine_linear},
  };
}

}  // namespace tinygpt::lessons
