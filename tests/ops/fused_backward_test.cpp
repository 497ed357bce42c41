// The fused operators of a training step beside the plain ones that they stand for.
#include <cmath>
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
const std::vector<Size> kSizes = {{1, 1, 1},    {3, 7, 5},      {17, 33, 29},    {64, 48, 96},
                                  {33, 64, 32}, {65, 129, 300}, {257, 64, 1025}, {391, 96, 97}};

// sum_k a(i, k) b(k, j), and the sum of the terms' magnitudes.
struct Product {
  Values value, magnitude;
};
template <class A, class B>
Product multiply(int rows, int columns, int depth, A a, B b) {
  Product p;
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      double sum = 0, magnitude = 0;
      for (int k = 0; k < depth; ++k) {
        sum += a(i, k) * b(k, j);
        magnitude += std::abs(a(i, k) * b(k, j));
      }
      p.value.push_back(sum);
      p.magnitude.push_back(magnitude);
    }
  }
  return p;
}

// d/dx 0.5 x (1 + tanh(k (x + 0.044715 x^3))), k = sqrt(2 / pi)
double gelu_slope(double x) {
  const double k = std::sqrt(2 / std::acos(-1.0)), t = std::tanh(k * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * 0.044715 * x * x);
}

double at(const Values& matrix, int i, int j, int columns) {
  return matrix[static_cast<std::size_t>(i) * static_cast<std::size_t>(columns) +
                static_cast<std::size_t>(j)];
}

void check_linear(const Implementation& i, Size size, bool with_gelu, bool add) {
  const auto [N, C, OC] = size;
  const Values x_in = random_values(std::int64_t{N} * C, 1),
               w_in = random_values(std::int64_t{OC} * C, 2);
  const Values dout_in = random_values(std::int64_t{N} * OC, 3);
  const Values pre_in = random_values(std::int64_t{N} * C, 4, 2.0);
  const auto dout = [&, OC = OC](int n, int o) { return at(dout_in, n, o, OC); };
  const auto dout_t = [&](int o, int n) { return dout(n, o); };
  Product dx = multiply(N, C, OC, dout, [&, C = C](int o, int c) { return at(w_in, o, c, C); });
  for (std::size_t k = 0; k < dx.value.size() && with_gelu; ++k) {
    dx.value[k] *= gelu_slope(pre_in[k]);
    dx.magnitude[k] *= 1.13;  // no slope is larger
  }
  const Product dw =
      multiply(OC, C, N, dout_t, [&, C = C](int n, int c) { return at(x_in, n, c, C); });
  const Product db = multiply(OC, 1, N, dout_t, [](int, int) { return 1.0; });

  Sandbox s(i, "linear_backward_write");
  const float *d = s.input(dout_in), *x = s.input(x_in), *w = s.input(w_in);
  const float* pre = with_gelu ? s.input(pre_in) : nullptr;
  const auto gradient = [&](std::int64_t n) { return add ? s.accumulator(n) : s.output(n); };
  float *to_x = s.output(std::int64_t{N} * C), *to_w = gradient(std::int64_t{OC} * C);
  float *to_b = gradient(OC), *scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
  i.ops.linear_backward_write(to_x, to_w, to_b, d, x, pre, w, scratch, N, C, OC, add);
  s.expect("dx", to_x, dx.value, {{"n", N}, {"c", C}},
           {.terms = OC + 1.0, .magnitudes = dx.magnitude});
  const auto expect = [&](const char* name, const float* buffer, const Product& p,
                          const Shape& shape) {
    const Tolerance tolerance{.terms = N + 1.0, .magnitudes = p.magnitude};
    if (add) s.expect_added(name, buffer, p.value, shape, tolerance);
    else s.expect(name, buffer, p.value, shape, tolerance);
  };
  expect("dweight", to_w, dw, {{"o", OC}, {"c", C}});
  expect("dbias", to_b, db, {{"o", OC}});
}

}  // namespace

TEST_CASE("linear_backward_write writes what linear_backward would add to zeros, through GELU",
          "[fused][linear][gelu][backward]") {
  for (const Implementation& i : implementations()) {
    if (i.ops.linear_backward_write == nullptr) continue;
    for (const Size& size : kSizes) {
      for (const bool with_gelu : {false, true}) {
        for (const bool add : {false, true}) check_linear(i, size, with_gelu, add);
      }
    }
  }
}

TEST_CASE("linear_backward_write leaves out what is not asked for", "[fused][linear][backward]") {
  constexpr int N = 20, C = 40, OC = 30;
  for (const Implementation& i : implementations()) {
    if (i.ops.linear_backward_write == nullptr) continue;
    Sandbox s(i, "linear_backward_write");
    const float *d = s.input(random_values(N * OC, 1)), *x = s.input(random_values(N * C, 2));
    const float* w = s.input(random_values(OC * C, 3));
    float *dx = s.output(N * C), *alone = s.output(N * C);
    float* scratch = s.scratch(i.ops.linear_scratch_size(N, C, OC));
    float *dw = s.output(OC * C), *db = s.output(OC);
    i.ops.linear_backward_write(dx, dw, db, d, x, nullptr, w, scratch, N, C, OC, false);
    i.ops.linear_backward_write(alone, nullptr, nullptr, d, x, nullptr, w, scratch, N, C, OC, true);
    CHECK(s.values(alone) == s.values(dx));
    CHECK(s.damage() == "");
  }
}

TEST_CASE("attention_backward_write writes what attention_backward adds to zeros",
          "[fused][attention][backward]") {
  constexpr int B = 2, T = 75, NH = 4, NKV = 2, HS = 24;
  constexpr std::int64_t kRows = B * T, kQkv = kRows * (NH + 2 * NKV) * HS, kOut = kRows * NH * HS;
  for (const Implementation& i : implementations()) {
    if (i.ops.attention_backward_write == nullptr) continue;
    for (const bool causal : {true, false}) {
      Sandbox s(i, "attention_backward_write");
      const float *qkv = s.input(random_values(kQkv, 1)), *dout = s.input(random_values(kOut, 2));
      float *out = s.output(kOut), *lse = s.output(attention_lse_size(B, T, NH));
      float* scratch = s.scratch(i.ops.attention_scratch_size(B, T, NH, NKV, HS));
      i.ops.attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
      float *added = s.accumulator(Values(kQkv, 0.0)), *written = s.output(kQkv);
      i.ops.attention_backward(added, dout, out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
      i.ops.attention_backward_write(written, dout, out, lse, qkv, scratch, B, T, NH, NKV, HS,
                                     causal);
      CHECK(s.values(written) == s.values(added));
      CHECK(s.damage() == "");
    }
  }
}

TEST_CASE("adamw_clipped_step is clip_gradients, then adamw_step",
          "[fused][adamw][gradient_norm]") {
  constexpr std::int64_t n = 1003;
  const Values zeros(n, 0.0);
  for (const Implementation& i : implementations()) {
    if (i.ops.adamw_clipped_step == nullptr) continue;
    for (const double norm : {0.5, 40.0, 1.0 / 0.0}) {
      for (const float max_norm : {0.0f, 1.0f}) {
        Sandbox s(i, "adamw_clipped_step");
        const Values start = random_values(n, 1), gradient = random_values(n, 2);
        float *a = s.accumulator(start), *am = s.accumulator(zeros), *av = s.accumulator(zeros);
        float *b = s.accumulator(start), *bm = s.accumulator(zeros), *bv = s.accumulator(zeros);
        float *clipped = s.accumulator(gradient), *norm_at = s.accumulator(Values{norm});
        const float* grad = s.input(gradient);
        if (max_norm > 0) i.ops.clip_gradients(clipped, norm_at, n, max_norm);
        i.ops.adamw_step(a, nullptr, am, av, clipped, n, {});
        i.ops.adamw_clipped_step(b, nullptr, bm, bv, grad, norm_at, max_norm, n, {});
        for (const auto& [x, y] : {std::pair{a, b}, {am, bm}, {av, bv}}) {
          CHECK(s.values(x) == s.values(y));
        }
        CHECK(s.damage() == "");
      }
    }
  }
}
