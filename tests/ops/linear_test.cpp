#include "solutions/03-matmul/matmul.h"

#include <cstdint>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, OC;
};

// Ones, primes, and one more or less than what kernels like to cut at.
const std::vector<Size> kSizes = {
    {1, 1, 1},
    {1, 7, 5},
    {5, 1, 3},
    {3, 5, 1},
    {2, 17, 13},
    {7, 64, 65},
    {13, 63, 31},
    {16, 16, 16},
    {17, 33, 29},
    {64, 48, 96},
    {65, 129, 97},
    {128, 257, 47},
    {1, 300, 257},
    {2, 128, 131},
    {6, 97, 300},
    {97, 300, 259},
    {200, 19, 510},
    {31, 520, 8},
    {9, 8, 7},
    {257, 65, 128},
    {33, 1100, 35},
    {0, 3, 4},
    {3, 0, 4},
    {3, 4, 0},
    // Widths of whole panels, which fast products read or pack in other ways than ragged ones: near
    // and far rows, few and many of them, and rows of which there is more than one pass.
    {75, 160, 61},
    {450, 96, 83},
    {37, 1056, 45},
    {400, 1056, 3},
    {1030, 1056, 3},
    {12, 32, 8200}};

std::vector<Values> random_inputs(const Size& size) {
  const auto& [N, C, OC] = size;
  return {random_values(std::int64_t{N} * C, 1), random_values(std::int64_t{OC} * C, 2),
          random_values(OC, 3, 10.0)};
}

}  // namespace

TEST_CASE("linear_forward is x W^T + b", "[linear][forward][lesson-03]") {
  for (const auto& [N, C, OC] : kSizes) {
    std::vector<Values> in = random_inputs({N, C, OC});
    for (const bool with_bias : {true, false}) {
      if (!with_bias) in[2].assign(in[2].size(), 0.0);
      const Exact expected = linear_equation(N, C, OC).forward(in);
      for (const Implementation& i : implementations()) {
        if (too_much_to_watch(i, std::int64_t{N} * C * OC, 3'000'000)) continue;
        Sandbox s(i, with_bias ? "linear_forward" : "linear_forward without bias");
        const float *x = s.input(in[0]), *w = s.input(in[1]), *b = s.input(in[2]);
        float* out = s.output(std::int64_t{N} * OC);
        float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
        i.ops.linear_forward(out, x, w, with_bias ? b : nullptr, scratch, N, C, OC);
        s.expect("out", out, expected.value, {{"n", N}, {"o", OC}},
                 {.terms = C + 1.0, .factor = 2, .magnitudes = expected.magnitude});
      }
    }
  }
}

TEST_CASE("linear_backward adds dY W, dY^T X and the sum of dY", "[linear][backward][lesson-05]") {
  for (const auto& [N, C, OC] : kSizes) {
    const std::vector<Values> in = random_inputs({N, C, OC});
    const Values dout = random_values(std::int64_t{N} * OC, 4);
    const std::vector<Exact> expected = linear_equation(N, C, OC).backward(in, dout);
    for (const Implementation& i : implementations()) {
      if (too_much_to_watch(i, std::int64_t{N} * C * OC, 3'000'000)) continue;
      Sandbox s(i, "linear_backward");
      const float *x = s.input(in[0]), *w = s.input(in[1]), *d = s.input(dout);
      float* dx = s.accumulator(std::int64_t{N} * C);
      float* dw = s.accumulator(std::int64_t{OC} * C);
      float* db = s.accumulator(OC);
      float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
      i.ops.linear_backward(dx, dw, db, d, x, w, scratch, N, C, OC);
      s.expect_added("dx", dx, expected[0].value, {{"n", N}, {"c", C}},
                     {.terms = OC + 1.0, .factor = 2, .magnitudes = expected[0].magnitude});
      s.expect_added("dweight", dw, expected[1].value, {{"o", OC}, {"c", C}},
                     {.terms = N + 1.0, .factor = 2, .magnitudes = expected[1].magnitude});
      s.expect_added("dbias", db, expected[2].value, {{"o", OC}},
                     {.terms = N + 1.0, .factor = 2, .magnitudes = expected[2].magnitude});
    }
  }
}

TEST_CASE("linear_backward computes only what is asked for", "[linear][backward][lesson-05]") {
  constexpr int N = 19, C = 23, OC = 37;
  const std::vector<Values> in = random_inputs({N, C, OC});
  const Values dout = random_values(N * OC, 4);
  const std::vector<Exact> expected = linear_equation(N, C, OC).backward(in, dout);
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "linear_backward of one part");
    const float *x = s.input(in[0]), *w = s.input(in[1]), *d = s.input(dout);
    float *dx = s.accumulator(N * C), *dw = s.accumulator(OC * C), *db = s.accumulator(OC);
    float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
    i.ops.linear_backward(dx, nullptr, nullptr, d, x, w, scratch, N, C, OC);
    i.ops.linear_backward(nullptr, dw, nullptr, d, x, w, scratch, N, C, OC);
    i.ops.linear_backward(nullptr, nullptr, db, d, x, w, scratch, N, C, OC);
    s.expect_added("dx", dx, expected[0].value, {{"n", N}, {"c", C}},
                   {.terms = OC, .magnitudes = expected[0].magnitude});
    s.expect_added("dweight", dw, expected[1].value, {{"o", OC}, {"c", C}},
                   {.terms = N, .magnitudes = expected[1].magnitude});
    s.expect_added("dbias", db, expected[2].value, {{"o", OC}},
                   {.terms = N, .magnitudes = expected[2].magnitude});
  }
}

// The lesson's two products are no operators, so no table holds them.
TEST_CASE("both matrix products of lesson 03 match the definition",
          "[matmul][forward][lesson-03]") {
  const Implementation host = {.name = "ref", .ops = {}};
  for (const auto& [M, K, N] : kSizes) {
    const Values a = random_values(std::int64_t{M} * K, 1);
    const Values b = random_values(std::int64_t{K} * N, 2);
    Values transposed;  // the linear layer holds its right factor the other way round
    for (int n = 0; n < N; ++n) {
      for (int k = 0; k < K; ++k) transposed.push_back(b[static_cast<std::size_t>(k) * N + n]);
    }
    const Exact expected =
        linear_equation(M, K, N).forward({a, transposed, Values(static_cast<std::size_t>(N))});
    for (const auto& [name, matmul] : {std::pair{"matmul_naive", &ref::matmul_naive},
                                       std::pair{"matmul_tiled", &ref::matmul_tiled}}) {
      Sandbox s(host, name);
      const float *left = s.input(a), *right = s.input(b);
      float* out = s.output(std::int64_t{M} * N);
      matmul(out, left, right, M, N, K);
      s.expect("out", out, expected.value, {{"m", M}, {"n", N}},
               {.terms = K + 1.0, .factor = 2, .magnitudes = expected.magnitude});
    }
  }
}
