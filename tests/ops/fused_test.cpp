#include "tests/ops/equations.h"

#include <cstdint>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, OC;
};
const std::vector<Size> kSizes = {{0, 3, 2},    {1, 1, 1},    {3, 7, 5},      {2, 65, 63},
                                  {17, 33, 29}, {64, 48, 96}, {65, 129, 300}, {257, 64, 97}};
constexpr float kEps = 1e-5f;

Values added(const Values& a, const Values& b) {
  Values sum = a;
  for (std::size_t k = 0; k < sum.size(); ++k) sum[k] = static_cast<float>(a[k] + b[k]);
  return sum;
}

Tolerance within(const Exact& expected, double terms) {
  return {.terms = terms, .magnitudes = expected.magnitude};
}

}  // namespace

TEST_CASE("linear_gelu_forward is linear, then gelu", "[fused][linear][gelu][forward]") {
  for (const Implementation& i : implementations()) {
    if (i.ops.linear_gelu_forward == nullptr) continue;
    for (const auto& [N, C, OC] : kSizes) {
      for (const bool with_bias : {true, false}) {
        const std::vector<Values> in = {
            random_values(std::int64_t{N} * C, 1, 0.5), random_values(std::int64_t{OC} * C, 2, 0.5),
            with_bias ? random_values(OC, 3) : Values(static_cast<std::size_t>(OC), 0.0)};
        const Exact expected_pre = linear_equation(N, C, OC).forward(in);
        const Exact gelu = gelu_equation().forward({expected_pre.value});
        Sandbox s(i, "linear_gelu_forward");
        const float *x = s.input(in[0]), *w = s.input(in[1]), *b = s.input(in[2]);
        float *out = s.output(std::int64_t{N} * OC), *pre = s.output(std::int64_t{N} * OC);
        float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
        i.ops.linear_gelu_forward(out, pre, x, w, with_bias ? b : nullptr, scratch, N, C, OC);
        const Shape shape = {{"n", N}, {"o", OC}};
        s.expect("pre", pre, expected_pre.value, shape, within(expected_pre, C + 1.0));
        // An error of pre arrives in out with a slope of 1.13 at most.
        s.expect("out", out, gelu.value, shape, within(expected_pre, C + 1.0));
      }
    }
  }
}

TEST_CASE("residual_layernorm_forward is a sum, then layernorm",
          "[fused][residual][layernorm][forward]") {
  for (const Implementation& i : implementations()) {
    if (i.ops.residual_layernorm_forward == nullptr) continue;
    for (const auto& [N, C, unused] : kSizes) {
      const Values a_in = random_values(std::int64_t{N} * C, 1, 2.0, 1.0);
      const Values b_in = random_values(std::int64_t{N} * C, 2), w_in = random_values(C, 3);
      const Values bias_in = random_values(C, 4), total = added(a_in, b_in);
      const Exact expected = layernorm_equation(N, C, kEps).forward({total, w_in, bias_in});
      const Statistics saved = row_statistics(total, N, C, kEps, true);
      const Shape shape = {{"n", N}, {"c", C}};
      for (const bool in_place : {false, true}) {
        Sandbox s(i, "residual_layernorm_forward");
        float *a = s.accumulator(a_in), *out = s.output(std::int64_t{N} * C);
        const float *b = s.input(b_in), *w = s.input(w_in), *bias = s.input(bias_in);
        float* sum = in_place ? a : s.output(std::int64_t{N} * C);
        float *mean = s.output(N), *rstd = s.output(N);
        i.ops.residual_layernorm_forward(out, sum, mean, rstd, a, b, w, bias, N, C, kEps);
        s.expect(in_place ? "sum in place of a" : "sum", sum, total, shape, {.factor = 1});
        s.expect("out", out, expected.value, shape, within(expected, C));
        s.expect("mean", mean, saved.mean, {{"n", N}}, {.terms = double(C), .scale = 10});
        s.expect("rstd", rstd, saved.rstd, {{"n", N}}, {.terms = double(C)});
      }
    }
  }
}

TEST_CASE("residual_rmsnorm_forward is a sum, then rmsnorm",
          "[fused][residual][rmsnorm][forward]") {
  for (const Implementation& i : implementations()) {
    if (i.ops.residual_rmsnorm_forward == nullptr) continue;
    for (const auto& [N, C, unused] : kSizes) {
      const Values a_in = random_values(std::int64_t{N} * C, 1, 2.0, 1.0);
      const Values b_in = random_values(std::int64_t{N} * C, 2), w_in = random_values(C, 3);
      const Values total = added(a_in, b_in);
      const Exact expected = rmsnorm_equation(N, C, kEps).forward({total, w_in});
      const Statistics saved = row_statistics(total, N, C, kEps, false);
      const Shape shape = {{"n", N}, {"c", C}};
      for (const bool in_place : {false, true}) {
        Sandbox s(i, "residual_rmsnorm_forward");
        float *a = s.accumulator(a_in), *out = s.output(std::int64_t{N} * C);
        const float *b = s.input(b_in), *w = s.input(w_in);
        float *sum = in_place ? a : s.output(std::int64_t{N} * C), *rstd = s.output(N);
        i.ops.residual_rmsnorm_forward(out, sum, rstd, a, b, w, N, C, kEps);
        s.expect(in_place ? "sum in place of a" : "sum", sum, total, shape, {.factor = 1});
        s.expect("out", out, expected.value, shape, within(expected, C));
        s.expect("rstd", rstd, saved.rstd, {{"n", N}}, {.terms = double(C)});
      }
    }
  }
}
