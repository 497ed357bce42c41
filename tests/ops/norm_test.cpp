#include "tests/ops/equations.h"

#include <cstdint>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C;
};

// The last ones have enough rows for several threads and for partial sums over chunks of rows.
const std::vector<Size> kSizes = {{0, 5},  {1, 1},  {1, 2},  {3, 7},    {2, 16},   {5, 17},
                                  {4, 33}, {9, 64}, {65, 8}, {97, 129}, {17, 300}, {300, 257}};

// Means that are not zero, since a mistake about the mean hides where it is.
std::vector<Values> random_inputs(const Size& size) {
  return {random_values(std::int64_t{size.N} * size.C, 1, 3.0, 2.0), random_values(size.C, 2),
          random_values(size.C, 3)};
}

// As large as the variance below, so that eps outside of the root would show; and as usual.
const std::vector<float> kEps = {1e-5f, 0.5f};

Tolerance within(const Exact& expected, double terms) {
  return {.terms = terms, .magnitudes = expected.magnitude};
}

}  // namespace

TEST_CASE("layernorm_forward matches its equation", "[layernorm][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C] : kSizes) {
      if (too_much_to_watch(i, std::int64_t{N} * C)) continue;
      for (const float eps : kEps) {
        const std::vector<Values> in = random_inputs({N, C});
        const Exact expected = layernorm_equation(N, C, eps).forward(in);
        const Statistics saved = row_statistics(in[0], N, C, eps, true);
        Sandbox s(i, "layernorm_forward");
        const float *x = s.input(in[0]), *w = s.input(in[1]), *b = s.input(in[2]);
        float *out = s.output(std::int64_t{N} * C), *mean = s.output(N), *rstd = s.output(N);
        i.ops.layernorm_forward(out, mean, rstd, x, w, b, N, C, eps);
        s.expect("out", out, expected.value, {{"n", N}, {"c", C}}, within(expected, C));
        s.expect("mean", mean, saved.mean, {{"n", N}}, {.terms = double(C), .scale = 12});
        s.expect("rstd", rstd, saved.rstd, {{"n", N}}, {.terms = double(C)});

        const Exact bare = layernorm_equation(N, C, eps).forward(
            {in[0], in[1], Values(static_cast<std::size_t>(C), 0.0)});
        float* unshifted = s.output(std::int64_t{N} * C);
        i.ops.layernorm_forward(unshifted, mean, rstd, x, w, nullptr, N, C, eps);
        s.expect("out without bias", unshifted, bare.value, {{"n", N}, {"c", C}}, within(bare, C));
      }
    }
  }
}

TEST_CASE("layernorm keeps its digits where the mean is large", "[layernorm][forward][lesson-10]") {
  // mean(x^2) - mean(x)^2 in float would be noise here. The mean itself is rounded to a float,
  // 2^-12 of a unit: that error stays.
  constexpr int C = 64;
  const std::vector<Values> in = {random_values(C, 1, 1.0, 4096.0), Values(C, 1.0), Values(C, 0.0)};
  const Exact expected = layernorm_equation(1, C, 1e-5).forward(in);
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "layernorm_forward");
    const float *x = s.input(in[0]), *w = s.input(in[1]), *b = s.input(in[2]);
    float *out = s.output(C), *mean = s.output(1), *rstd = s.output(1);
    i.ops.layernorm_forward(out, mean, rstd, x, w, b, 1, C, 1e-5f);
    s.expect("out", out, expected.value, {{"c", C}}, {.scale = 4096, .factor = 2});
    s.expect("rstd", rstd, row_statistics(in[0], 1, C, 1e-5, true).rstd, {{"n", 1}},
             {.factor = 64});
  }
}

TEST_CASE("a constant row has layernorm 0, not NaN", "[layernorm][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "layernorm_forward");
    const float *x = s.input(Values(24, 5.0)), *w = s.input(Values(24, 1.0));
    const float* b = s.input(Values(24, 0.5));
    float *out = s.output(24), *mean = s.output(1), *rstd = s.output(1);
    i.ops.layernorm_forward(out, mean, rstd, x, w, b, 1, 24, 1e-5f);
    s.expect("out", out, Values(24, 0.5), {{"c", 24}});
  }
}

TEST_CASE("layernorm_backward is the gradient of its equation",
          "[layernorm][backward][lesson-10]") {
  for (const auto& [N, C] : kSizes) {
    for (const float eps : kEps) {
      const std::vector<Values> in = random_inputs({N, C});
      const Values dout = random_values(std::int64_t{N} * C, 4);
      const std::vector<Exact> expected = layernorm_equation(N, C, eps).backward(in, dout);
      const Statistics saved = row_statistics(in[0], N, C, eps, true);
      for (const Implementation& i : implementations()) {
        if (too_much_to_watch(i, std::int64_t{N} * C)) continue;
        Sandbox s(i, "layernorm_backward");
        const float *x = s.input(in[0]), *w = s.input(in[1]), *d = s.input(dout);
        const float *mean = s.input(saved.mean), *rstd = s.input(saved.rstd);
        float* dx = s.accumulator(std::int64_t{N} * C);
        float *dw = s.accumulator(C), *db = s.accumulator(C);
        float* scratch = s.scratch(i.ops.layernorm_scratch_size(N, C));
        i.ops.layernorm_backward(dx, dw, db, d, x, w, mean, rstd, scratch, N, C);
        s.expect_added("dx", dx, expected[0].value, {{"n", N}, {"c", C}}, within(expected[0], C));
        s.expect_added("dweight", dw, expected[1].value, {{"c", C}}, within(expected[1], N));
        s.expect_added("dbias", db, expected[2].value, {{"c", C}}, within(expected[2], N));
      }
    }
  }
}

TEST_CASE("layernorm_backward does without a bias", "[layernorm][backward][lesson-10]") {
  constexpr int N = 11, C = 13;
  const std::vector<Values> in = random_inputs({N, C});
  const Values dout = random_values(N * C, 4);
  const std::vector<Exact> expected = layernorm_equation(N, C, 1e-5).backward(in, dout);
  const Statistics saved = row_statistics(in[0], N, C, 1e-5, true);
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "layernorm_backward without bias");
    const float *x = s.input(in[0]), *w = s.input(in[1]), *d = s.input(dout);
    const float *mean = s.input(saved.mean), *rstd = s.input(saved.rstd);
    float *dx = s.accumulator(N * C), *dw = s.accumulator(C);
    float* scratch = s.scratch(i.ops.layernorm_scratch_size(N, C));
    i.ops.layernorm_backward(dx, dw, nullptr, d, x, w, mean, rstd, scratch, N, C);
    s.expect_added("dx", dx, expected[0].value, {{"n", N}, {"c", C}}, within(expected[0], C));
    s.expect_added("dweight", dw, expected[1].value, {{"c", C}}, within(expected[1], N));
  }
}

TEST_CASE("rmsnorm_forward matches its equation", "[rmsnorm][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C] : kSizes) {
      for (const float eps : kEps) {
        const std::vector<Values> in = random_inputs({N, C});
        const Exact expected = rmsnorm_equation(N, C, eps).forward(in);
        Sandbox s(i, "rmsnorm_forward");
        const float *x = s.input(in[0]), *w = s.input(in[1]);
        float *out = s.output(std::int64_t{N} * C), *rstd = s.output(N);
        i.ops.rmsnorm_forward(out, rstd, x, w, N, C, eps);
        s.expect("out", out, expected.value, {{"n", N}, {"c", C}}, within(expected, C));
        s.expect("rstd", rstd, row_statistics(in[0], N, C, eps, false).rstd, {{"n", N}},
                 {.terms = double(C)});
      }
    }
  }
}

TEST_CASE("rmsnorm_backward is the gradient of its equation", "[rmsnorm][backward][lesson-10]") {
  for (const auto& [N, C] : kSizes) {
    for (const float eps : kEps) {
      const std::vector<Values> in = random_inputs({N, C});
      const Values dout = random_values(std::int64_t{N} * C, 4);
      const std::vector<Exact> expected = rmsnorm_equation(N, C, eps).backward(in, dout);
      const Statistics saved = row_statistics(in[0], N, C, eps, false);
      for (const Implementation& i : implementations()) {
        if (too_much_to_watch(i, std::int64_t{N} * C)) continue;
        Sandbox s(i, "rmsnorm_backward");
        const float *x = s.input(in[0]), *w = s.input(in[1]), *d = s.input(dout);
        const float* rstd = s.input(saved.rstd);
        float *dx = s.accumulator(std::int64_t{N} * C), *dw = s.accumulator(C);
        float* scratch = s.scratch(i.ops.rmsnorm_scratch_size(N, C));
        i.ops.rmsnorm_backward(dx, dw, d, x, w, rstd, scratch, N, C);
        s.expect_added("dx", dx, expected[0].value, {{"n", N}, {"c", C}}, within(expected[0], C));
        s.expect_added("dweight", dw, expected[1].value, {{"c", C}}, within(expected[1], N));
      }
    }
  }
}
