#include <cmath>

#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C;
};
const std::vector<Size> kSizes = {{1, 1}, {1, 2}, {3, 7}, {2, 16}, {5, 17}, {4, 33}, {9, 64}};

// [x, weight, bias] to out, row by row as the equation says.
Formula layernorm_formula(int N, int C, double eps) {
  return [=](const std::vector<Values>& in) {
    Values out(in[0].size());
    for (int n = 0; n < N; ++n) {
      const double* x = &in[0][static_cast<std::size_t>(n) * C];
      double mean = 0, var = 0;
      for (int c = 0; c < C; ++c) mean += x[c] / C;
      for (int c = 0; c < C; ++c) var += (x[c] - mean) * (x[c] - mean) / C;
      for (int c = 0; c < C; ++c) {
        out[static_cast<std::size_t>(n) * C + c] =
            (x[c] - mean) / std::sqrt(var + eps) * in[1][c] + in[2][c];
      }
    }
    return out;
  };
}

Formula rmsnorm_formula(int N, int C, double eps) {
  return [=](const std::vector<Values>& in) {
    Values out(in[0].size());
    for (int n = 0; n < N; ++n) {
      const double* x = &in[0][static_cast<std::size_t>(n) * C];
      double squares = 0;
      for (int c = 0; c < C; ++c) squares += x[c] * x[c] / C;
      for (int c = 0; c < C; ++c) {
        out[static_cast<std::size_t>(n) * C + c] = x[c] / std::sqrt(squares + eps) * in[1][c];
      }
    }
    return out;
  };
}

}  // namespace

TEST_CASE("layernorm_forward matches its equation", "[layernorm][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C] : kSizes) {
      for (const float eps : {1e-5f, 0.1f}) {
        const std::vector<Values> in = {random_values(N * C, 1, 3.0), random_values(C, 2),
                                        random_values(C, 3)};
        Guarded x(in[0], 1), w(in[1]), b(in[2], 1), out(N * C), mean(N), rstd(N);
        i.ops.layernorm_forward(out.data(), mean.data(), rstd.data(), x.data(), w.data(), b.data(),
                                N, C, eps);
        CHECK_SAME("layernorm_forward of " + i.name, out.values(), layernorm_formula(N, C, eps)(in),
                   {{"n", N}, {"c", C}}, {.terms = double(C)});
        CHECK((out.is_intact() && mean.is_intact() && rstd.is_intact()));
        CHECK((x.is_unchanged() && w.is_unchanged() && b.is_unchanged()));
        Guarded bare(N * C);
        i.ops.layernorm_forward(bare.data(), mean.data(), rstd.data(), x.data(), w.data(), nullptr,
                                N, C, eps);
        CHECK_SAME("layernorm_forward without bias of " + i.name, bare.values(),
                   layernorm_formula(N, C, eps)({in[0], in[1], Values(C, 0.0)}),
                   {{"n", N}, {"c", C}}, {.terms = double(C)});
      }
    }
  }
}

TEST_CASE("layernorm keeps its digits where the mean is large", "[layernorm][forward][lesson-10]") {
  // mean(x^2) - mean(x)^2 in float would be noise here.
  constexpr int C = 64;
  std::vector<Values> in = {random_values(C, 1), Values(C, 1.0), Values(C, 0.0)};
  for (double& value : in[0]) value = static_cast<float>(value + 4096);
  for (const Implementation& i : implementations()) {
    Guarded x(in[0]), w(in[1]), b(in[2]), out(C), mean(1), rstd(1);
    i.ops.layernorm_forward(out.data(), mean.data(), rstd.data(), x.data(), w.data(), b.data(), 1,
                            C, 1e-5f);
    // The mean itself is rounded to a float, 2^-12 of a unit here: that error stays.
    CHECK_SAME("layernorm_forward of " + i.name, out.values(), layernorm_formula(1, C, 1e-5)(in),
               {{"c", C}}, {.terms = 1, .scale = 4096, .factor = 2});
  }
}

TEST_CASE("a constant row has layernorm 0, not NaN", "[layernorm][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    Guarded x(Values(24, 5.0)), w(Values(24, 1.0)), b(Values(24, 0.5)), out(24), mean(1), rstd(1);
    i.ops.layernorm_forward(out.data(), mean.data(), rstd.data(), x.data(), w.data(), b.data(), 1,
                            24, 1e-5f);
    CHECK_SAME("layernorm_forward of " + i.name, out.values(), Values(24, 0.5), {{"c", 24}}, {});
  }
}

TEST_CASE("layernorm_backward matches finite differences", "[layernorm][backward][lesson-10]") {
  constexpr float kEps = 1e-2f;  // large enough to matter in the gradient
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C] : kSizes) {
      const std::vector<Values> in = {random_values(N * C, 1, 2.0), random_values(C, 2),
                                      random_values(C, 3)};
      const Values dout = random_values(N * C, 4);
      const auto expected = numeric_gradients(layernorm_formula(N, C, kEps), in, dout);
      Guarded x(in[0]), w(in[1], 1), d(dout, 1), out(N * C), mean(N), rstd(N);
      i.ops.layernorm_forward(out.data(), mean.data(), rstd.data(), x.data(), w.data(), nullptr, N,
                              C, kEps);
      Guarded dx = accumulator(N * C, 5), dw = accumulator(C, 6), db = accumulator(C, 7);
      const Values dx0 = dx.doubles(), dw0 = dw.doubles(), db0 = db.doubles();
      Guarded scratch(i.ops.layernorm_scratch_size(N, C));
      i.ops.layernorm_backward(dx.data(), dw.data(), db.data(), d.data(), x.data(), w.data(),
                               mean.data(), rstd.data(), scratch.data(), N, C);
      CHECK_SAME("dx of " + i.name, dx.values(), added(dx0, expected[0]), {{"n", N}, {"c", C}},
                 {.terms = double(C), .scale = 8});
      CHECK_SAME("dweight of " + i.name, dw.values(), added(dw0, expected[1]), {{"c", C}},
                 {.terms = double(N)});
      CHECK_SAME("dbias of " + i.name, db.values(), added(db0, expected[2]), {{"c", C}},
                 {.terms = double(N)});
      CHECK((dx.is_intact() && dw.is_intact() && db.is_intact() && scratch.is_intact()));
      CHECK((x.is_unchanged() && w.is_unchanged() && d.is_unchanged()));
    }
  }
}

TEST_CASE("rmsnorm_forward matches its equation", "[rmsnorm][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C] : kSizes) {
      for (const float eps : {1e-5f, 0.1f}) {
        const std::vector<Values> in = {random_values(N * C, 1, 3.0), random_values(C, 2)};
        Guarded x(in[0], 1), w(in[1]), out(N * C), rstd(N);
        i.ops.rmsnorm_forward(out.data(), rstd.data(), x.data(), w.data(), N, C, eps);
        CHECK_SAME("rmsnorm_forward of " + i.name, out.values(), rmsnorm_formula(N, C, eps)(in),
                   {{"n", N}, {"c", C}}, {.terms = double(C)});
        CHECK((out.is_intact() && rstd.is_intact() && x.is_unchanged() && w.is_unchanged()));
      }
    }
  }
}

TEST_CASE("rmsnorm_backward matches finite differences", "[rmsnorm][backward][lesson-10]") {
  constexpr float kEps = 1e-2f;
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C] : kSizes) {
      const std::vector<Values> in = {random_values(N * C, 1, 2.0), random_values(C, 2)};
      const Values dout = random_values(N * C, 4);
      const auto expected = numeric_gradients(rmsnorm_formula(N, C, kEps), in, dout);
      Guarded x(in[0]), w(in[1], 1), d(dout, 1), out(N * C), rstd(N);
      i.ops.rmsnorm_forward(out.data(), rstd.data(), x.data(), w.data(), N, C, kEps);
      Guarded dx = accumulator(N * C, 5), dw = accumulator(C, 6);
      const Values dx0 = dx.doubles(), dw0 = dw.doubles();
      Guarded scratch(i.ops.rmsnorm_scratch_size(N, C));
      i.ops.rmsnorm_backward(dx.data(), dw.data(), d.data(), x.data(), w.data(), rstd.data(),
                             scratch.data(), N, C);
      CHECK_SAME("dx of " + i.name, dx.values(), added(dx0, expected[0]), {{"n", N}, {"c", C}},
                 {.terms = double(C), .scale = 8});
      CHECK_SAME("dweight of " + i.name, dw.values(), added(dw0, expected[1]), {{"c", C}},
                 {.terms = double(N)});
      CHECK((dx.is_intact() && dw.is_intact() && scratch.is_intact()));
      CHECK((x.is_unchanged() && w.is_unchanged() && d.is_unchanged()));
    }
  }
}
