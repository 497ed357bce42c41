// The linear layer whose products round their operands to bf16 and sum in float
// (tinygpt/cpu/table.h), beside its equation on operands that are rounded first.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/bfloat16.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, OC;
};

// Odd depths leave half a pair; beyond a few hundred they are cut, and at 2,500 cut twice.
const std::vector<Size> kSizes = {
    {1, 1, 1},      {1, 7, 5},      {5, 2, 3},     {3, 5, 1},    {2, 17, 13},    {7, 64, 65},
    {13, 63, 31},   {16, 16, 16},   {17, 33, 29},  {64, 48, 96}, {65, 129, 97},  {128, 257, 47},
    {1, 300, 257},  {97, 300, 259}, {200, 19, 70}, {31, 520, 8}, {257, 65, 128}, {33, 1100, 35},
    {15, 2500, 33}, {40, 33, 1601}, {0, 3, 4},     {3, 0, 4},    {3, 4, 0},      {771, 5, 15}};

double rounded(double value) { return Bfloat16(static_cast<float>(value)); }

Values rounded(const Values& values) {
  Values all;
  for (const double value : values) all.push_back(rounded(value));
  return all;
}

struct Inputs {
  explicit Inputs(const Size& s)
      : x(random_values(std::int64_t{s.N} * s.C, 1)),
        weight(random_values(std::int64_t{s.OC} * s.C, 2)),
        bias(random_values(s.OC, 3, 10.0)),
        dout(random_values(std::int64_t{s.N} * s.OC, 4)) {}
  Values x, weight, bias, dout;
};

// Gradients by x and weight. That of the bias is a sum, and nothing in it is rounded.
std::vector<Exact> gradients(const Size& s, const Inputs& in) {
  const auto equation = linear_equation(s.N, s.C, s.OC);
  std::vector<Exact> all =
      equation.backward({rounded(in.x), rounded(in.weight), in.bias}, rounded(in.dout));
  all[2] = equation.backward({in.x, in.weight, in.bias}, in.dout)[2];
  return all;
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

// out of one row whose C values are x, by one weight.
float product(const Implementation& i, const Values& x, double weight) {
  const int C = static_cast<int>(x.size());
  Sandbox s(i, "linear_forward");
  const float* values = s.input(x);
  const float* w = s.input(Values(x.size(), weight));
  float *out = s.output(1), *scratch = s.scratch(i.ops.linear_scratch_size(1, C, 1));
  i.ops.linear_forward(out, values, w, nullptr, scratch, 1, C, 1);
  CHECK(s.damage() == "");
  return static_cast<float>(s.values(out)[0]);
}

}  // namespace

TEST_CASE("linear_forward with products of bf16 rounds x and W, and nothing else",
          "[linear][rounded][forward]") {
  for (const Size& size : kSizes) {
    const auto& [N, C, OC] = size;
    const Inputs in(size);
    for (const bool with_bias : {true, false}) {
      const Values bias = with_bias ? in.bias : Values(in.bias.size(), 0.0);
      const Exact expected =
          linear_equation(N, C, OC).forward({rounded(in.x), rounded(in.weight), bias});
      for (const Implementation& i : bf16_product_implementations()) {
        Sandbox s(i, with_bias ? "linear_forward" : "linear_forward without bias");
        const float *x = s.input(in.x), *w = s.input(in.weight), *b = s.input(in.bias);
        float *out = s.output(std::int64_t{N} * OC), *pre = s.output(std::int64_t{N} * OC);
        float* after = s.output(std::int64_t{N} * OC);
        float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
        i.ops.linear_forward(out, x, w, with_bias ? b : nullptr, scratch, N, C, OC);
        const Tolerance sum{.terms = C + 1.0, .factor = 2, .magnitudes = expected.magnitude};
        s.expect("out", out, expected.value, {{"n", N}, {"o", OC}}, sum);
        i.ops.linear_gelu_forward(after, pre, x, w, with_bias ? b : nullptr, scratch, N, C, OC);
        s.expect("pre", pre, expected.value, {{"n", N}, {"o", OC}}, sum);
        Values activated;
        for (const double value : s.values(pre)) activated.push_back(gelu(value));
        s.expect("gelu", after, activated, {{"n", N}, {"o", OC}}, {.terms = 1});
      }
    }
  }
}

TEST_CASE("linear_backward with products of bf16 rounds dY, x and W, and nothing else",
          "[linear][rounded][backward]") {
  for (const Size& size : kSizes) {
    const auto& [N, C, OC] = size;
    const Inputs in(size);
    const std::vector<Exact> expected = gradients(size, in);
    const Shape of_x = {{"n", N}, {"c", C}}, of_w = {{"o", OC}, {"c", C}}, of_b = {{"o", OC}};
    const Tolerance for_x{.terms = OC + 1.0, .factor = 2, .magnitudes = expected[0].magnitude};
    const Tolerance for_w{.terms = N + 1.0, .factor = 2, .magnitudes = expected[1].magnitude};
    const Tolerance for_b{.terms = N + 1.0, .factor = 2, .magnitudes = expected[2].magnitude};
    for (const Implementation& i : bf16_product_implementations()) {
      Sandbox s(i, "linear_backward");
      const float *x = s.input(in.x), *w = s.input(in.weight), *d = s.input(in.dout);
      float* dx = s.accumulator(std::int64_t{N} * C);
      float *dw = s.accumulator(std::int64_t{OC} * C), *db = s.accumulator(OC);
      float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
      i.ops.linear_backward(dx, nullptr, nullptr, d, x, w, scratch, N, C, OC);
      i.ops.linear_backward(nullptr, dw, db, d, x, w, scratch, N, C, OC);
      s.expect_added("dx", dx, expected[0].value, of_x, for_x);
      s.expect_added("dweight", dw, expected[1].value, of_w, for_w);
      s.expect_added("dbias", db, expected[2].value, of_b, for_b);

      float *new_dx = s.output(std::int64_t{N} * C), *new_db = s.output(OC);
      float *new_dw = s.output(std::int64_t{OC} * C), *more = s.accumulator(std::int64_t{OC} * C);
      i.ops.linear_backward_write(new_dx, new_dw, new_db, d, x, nullptr, w, scratch, N, C, OC,
                                  false);
      i.ops.linear_backward_write(nullptr, more, nullptr, d, x, nullptr, w, scratch, N, C, OC,
                                  true);
      s.expect("dx, written", new_dx, expected[0].value, of_x, for_x);
      s.expect("dweight, written", new_dw, expected[1].value, of_w, for_w);
      s.expect("dbias, written", new_db, expected[2].value, of_b, for_b);
      s.expect_added("dweight, added to", more, expected[1].value, of_w, for_w);
    }
  }
}

TEST_CASE("a backward product of bf16 ends with the slope of GELU in float",
          "[linear][rounded][gelu][backward]") {
  constexpr int N = 37, C = 67, OC = 45;
  const Inputs in({N, C, OC});
  const Values before = random_values(N * C, 5, 2.0);
  const Exact dx = gradients({N, C, OC}, in)[0];
  Values expected, magnitudes;
  for (std::size_t k = 0; k < before.size(); ++k) {
    constexpr double kStep = 1e-5;
    const double slope = (gelu(before[k] + kStep) - gelu(before[k] - kStep)) / (2 * kStep);
    expected.push_back(dx.value[k] * slope);
    magnitudes.push_back(dx.magnitude[k] * 1.13);  // no slope is larger
  }
  for (const Implementation& i : bf16_product_implementations()) {
    Sandbox s(i, "linear_backward_write with gelu");
    const float *w = s.input(in.weight), *d = s.input(in.dout), *pre = s.input(before);
    const float* x = s.input(in.x);
    float *to_x = s.output(N * C), *scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
    i.ops.linear_backward_write(to_x, nullptr, nullptr, d, x, pre, w, scratch, N, C, OC, false);
    s.expect("dx", to_x, expected, {{"n", N}, {"c", C}}, {.terms = OC, .magnitudes = magnitudes});
  }
}

TEST_CASE("products of bf16 round to the nearest, ties to even, and keep NaN and infinities",
          "[linear][rounded][forward]") {
  constexpr double kUnit = 1.0 / 128;  // between the bf16 from 1 to 2
  const double inf = std::numeric_limits<double>::infinity();
  for (const Implementation& i : bf16_product_implementations()) {
    INFO(i.name);
    for (const int C : {1, 2, 3, 33}) {
      for (const int at : {0, C - 1}) {
        const auto of = [&, C = C, at = at](double value) {
          Values x(static_cast<std::size_t>(C), 0.0);
          x[static_cast<std::size_t>(at)] = value;
          return product(i, x, 1.0);
        };
        CHECK(of(1 + 0.5 * kUnit) == 1.0f);
        CHECK(of(1 + 1.5 * kUnit) == static_cast<float>(1 + 2 * kUnit));
        CHECK(of(1 + 0.51 * kUnit) == static_cast<float>(1 + kUnit));
        CHECK(of(-1 - 1.49 * kUnit) == static_cast<float>(-1 - kUnit));
        CHECK(of(1e-30) == static_cast<float>(rounded(1e-30)));
        CHECK(of(3.3e38) == static_cast<float>(rounded(3.3e38)));
        CHECK(of(std::numeric_limits<float>::max()) == static_cast<float>(inf));
        CHECK(of(-inf) == static_cast<float>(-inf));
        CHECK(std::isnan(of(std::numeric_limits<double>::quiet_NaN())));
      }
    }
    // The sum is of floats: 256 and a 256th together need 17 bits.
    CHECK(product(i, {256, 1.0 / 256}, 1.0) == 256.00390625f);
  }
}

TEST_CASE("a NaN in one row of x spoils that row alone", "[linear][rounded][forward]") {
  constexpr int N = 31, C = 35, OC = 37, kRow = 16;
  for (const Implementation& i : bf16_product_implementations()) {
    Inputs in({N, C, OC});
    in.x[kRow * C + C - 1] = std::numeric_limits<double>::quiet_NaN();
    Sandbox s(i, "linear_forward");
    const float *x = s.input(in.x), *w = s.input(in.weight);
    float *out = s.output(N * OC), *scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
    i.ops.linear_forward(out, x, w, nullptr, scratch, N, C, OC);
    const Values all = s.values(out);
    for (int n = 0; n < N; ++n) {
      for (int o = 0; o < OC; ++o) {
        INFO(i.name << ": n=" << n << ", o=" << o);
        CHECK(std::isnan(all[static_cast<std::size_t>(n * OC + o)]) == (n == kRow));
      }
    }
  }
}
