#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, OC;
};
const std::vector<Size> kSizes = {{1, 1, 1}, {3, 7, 5}, {17, 33, 29}, {64, 48, 96}, {65, 129, 300}};

}  // namespace

TEST_CASE("linear_gelu_forward is linear, then gelu", "[fused][linear][gelu]") {
  for (const Implementation& i : implementations()) {
    if (i.ops.linear_gelu_forward == nullptr) continue;
    for (const auto& [N, C, OC] : kSizes) {
      for (const bool with_bias : {true, false}) {
        const std::int64_t n = std::int64_t{N} * OC;
        Guarded x(random_values(std::int64_t{N} * C, 1), 1),
            w(random_values(std::int64_t{OC} * C, 2));
        Guarded b(random_values(OC, 3)), out(n), pre(n), expected_pre(n), expected(n);
        Guarded scratch(i.ops.linear_scratch_size(N, C, OC));
        const float* bias = with_bias ? b.data() : nullptr;
        i.ops.linear_forward(expected_pre.data(), x.data(), w.data(), bias, scratch.data(), N, C,
                             OC);
        i.ops.gelu_forward(expected.data(), expected_pre.data(), n);
        i.ops.linear_gelu_forward(out.data(), pre.data(), x.data(), w.data(), bias, scratch.data(),
                                  N, C, OC);
        const Shape shape = {{"n", N}, {"o", OC}};
        CHECK_SAME("pre", pre.values(), expected_pre.doubles(), shape,
                   {.terms = double(C), .scale = 2});
        CHECK_SAME("out", out.values(), expected.doubles(), shape,
                   {.terms = double(C), .scale = 2});
        CHECK((out.is_intact() && pre.is_intact() && scratch.is_intact()));
        CHECK((x.is_unchanged() && w.is_unchanged() && b.is_unchanged()));
      }
    }
  }
}

TEST_CASE("residual and norm in one pass equal two", "[fused][residual][layernorm][rmsnorm]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C, unused] : kSizes) {
      const std::int64_t n = std::int64_t{N} * C;
      const Values a = random_values(n, 1), b = random_values(n, 2);
      const Values weight = random_values(C, 3), bias = random_values(C, 4);
      Guarded w(weight), shift(bias), sum(n), out(n), mean(N), rstd(N);
      Guarded ga(a, 1), gb(b, 1), plain_sum(n), plain(n), plain_mean(N), plain_rstd(N);
      const Shape shape = {{"n", N}, {"c", C}};
      i.ops.residual_forward(plain_sum.data(), ga.data(), gb.data(), n);
      if (i.ops.residual_layernorm_forward != nullptr) {
        i.ops.layernorm_forward(plain.data(), plain_mean.data(), plain_rstd.data(),
                                plain_sum.data(), w.data(), shift.data(), N, C, 1e-5f);
        i.ops.residual_layernorm_forward(out.data(), sum.data(), mean.data(), rstd.data(),
                                         ga.data(), gb.data(), w.data(), shift.data(), N, C, 1e-5f);
        CHECK_SAME("sum", sum.values(), plain_sum.doubles(), shape, {});
        CHECK_SAME("out", out.values(), plain.doubles(), shape, {.terms = double(C)});
        CHECK_SAME("mean", mean.values(), plain_mean.doubles(), {{"n", N}},
                   {.terms = double(C), .scale = 2});
        CHECK_SAME("rstd", rstd.values(), plain_rstd.doubles(), {{"n", N}}, {.terms = double(C)});
      }
      if (i.ops.residual_rmsnorm_forward != nullptr) {
        i.ops.rmsnorm_forward(plain.data(), plain_rstd.data(), plain_sum.data(), w.data(), N, C,
                              1e-5f);
        // The sum may be written over a.
        i.ops.residual_rmsnorm_forward(out.data(), ga.data(), rstd.data(), ga.data(), gb.data(),
                                       w.data(), N, C, 1e-5f);
        CHECK_SAME("sum", ga.values(), plain_sum.doubles(), shape, {});
        CHECK_SAME("out", out.values(), plain.doubles(), shape, {.terms = double(C)});
        CHECK_SAME("rstd", rstd.values(), plain_rstd.doubles(), {{"n", N}}, {.terms = double(C)});
      }
      CHECK((out.is_intact() && sum.is_intact() && mean.is_intact() && rstd.is_intact()));
      CHECK((gb.is_unchanged() && w.is_unchanged() && shift.is_unchanged()));
    }
  }
}
