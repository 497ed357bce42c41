#include <cmath>

#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

Values mapped(const Values& x, double (*f)(double)) {
  Values y;
  for (const double value : x) y.push_back(f(value));
  return y;
}

Formula swiglu_formula(int N, int H) {
  return [=](const std::vector<Values>& in) {
    Values out;
    for (int n = 0; n < N; ++n) {
      for (int h = 0; h < H; ++h) {
        const double gate = in[0][static_cast<std::size_t>(n) * 2 * H + h];
        const double up = in[0][static_cast<std::size_t>(n) * 2 * H + H + h];
        out.push_back(gate / (1 + std::exp(-gate)) * up);
      }
    }
    return out;
  };
}

const std::vector<int> kLengths = {0, 1, 7, 8, 15, 16, 17, 100, 1025};

}  // namespace

TEST_CASE("gelu_forward matches its equation", "[gelu][forward][lesson-05]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values x = random_values(n, 1, 3.0);
      Guarded gx(x, 1), out(n, kNan, 3);
      i.ops.gelu_forward(out.data(), gx.data(), n);
      CHECK_SAME("gelu_forward of " + i.name, out.values(), mapped(x, gelu), {{"i", n}},
                 {.factor = 4});
      CHECK((out.is_intact() && gx.is_unchanged()));
    }
  }
}

TEST_CASE("gelu stays finite and right far from zero", "[gelu][lesson-05]") {
  const Values x = {-1e30, -1e6, -100, -20, -10, -0.0, 0.0, 1e-30, 10, 20, 100, 1e6, 1e12};
  const int n = static_cast<int>(x.size());
  for (const Implementation& i : implementations()) {
    Guarded gx(x), out(n), dx(n, 0), dout(Values(x.size(), 1.0));
    i.ops.gelu_forward(out.data(), gx.data(), n);
    i.ops.gelu_backward(dx.data(), dout.data(), gx.data(), n);
    for (int k = 0; k < n; ++k) {
      INFO(i.name << " at " << x[k]);
      const double e = x[k] > 5 ? x[k] : x[k] < -9 ? 0.0 : gelu(x[k]);
      CHECK(std::abs(out.values()[k] - e) <= 1e-6 * std::abs(e) + 1e-30);
      CHECK(std::abs(dx.values()[k] - (x[k] > 5 ? 1.0 : x[k] < -9 ? 0.0 : 0.5)) < 1e-6);
    }
  }
}

TEST_CASE("gelu_backward matches finite differences", "[gelu][backward][lesson-05]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values x = random_values(n, 1, 2.0), dout = random_values(n, 2);
      const auto expected = numeric_gradients(
          [](const std::vector<Values>& in) { return mapped(in[0], gelu); }, {x}, dout);
      Guarded gx(x, 1), gd(dout), dx = accumulator(n, 3);
      const Values dx0 = dx.doubles();
      i.ops.gelu_backward(dx.data(), gd.data(), gx.data(), n);
      CHECK_SAME("gelu_backward of " + i.name, dx.values(), added(dx0, expected[0]), {{"i", n}},
                 {.scale = 4});
      CHECK((dx.is_intact() && gx.is_unchanged() && gd.is_unchanged()));
    }
  }
}

TEST_CASE("swiglu matches its equation and finite differences", "[swiglu][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, H] : std::vector<std::pair<int, int>>{{1, 1}, {2, 7}, {3, 16}, {4, 33}}) {
      const Values x = random_values(std::int64_t{N} * 2 * H, 1, 3.0);
      const Values dout = random_values(std::int64_t{N} * H, 2);
      Guarded gx(x, 1), gd(dout, 1), out(std::int64_t{N} * H);
      i.ops.swiglu_forward(out.data(), gx.data(), N, H);
      CHECK_SAME("swiglu_forward of " + i.name, out.values(), swiglu_formula(N, H)({x}),
                 {{"n", N}, {"h", H}}, {});
      const auto expected = numeric_gradients(swiglu_formula(N, H), {x}, dout);
      Guarded dx = accumulator(std::int64_t{N} * 2 * H, 3);
      const Values dx0 = dx.doubles();
      i.ops.swiglu_backward(dx.data(), gd.data(), gx.data(), N, H);
      CHECK_SAME("swiglu_backward of " + i.name, dx.values(), added(dx0, expected[0]),
                 {{"n", N}, {"gate|up", 2 * H}}, {.scale = 10});
      CHECK((out.is_intact() && dx.is_intact() && gx.is_unchanged() && gd.is_unchanged()));
    }
  }
}

TEST_CASE("swiglu's gate may be far from zero", "[swiglu][forward][lesson-10]") {
  for (const Implementation& i : implementations()) {
    Guarded x(Values{-1000, -100, 0, 100, 1000, 2, 2, 2, 2, 2}), out(5);
    i.ops.swiglu_forward(out.data(), x.data(), 1, 5);
    CHECK_SAME("swiglu_forward of " + i.name, out.values(), {0, 0, 0, 200, 2000}, {{"h", 5}}, {});
  }
}

TEST_CASE("residual adds, and passes its gradient to both sides", "[residual][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const int n : kLengths) {
      const Values a = random_values(n, 1), b = random_values(n, 2), dout = random_values(n, 3);
      Guarded ga(a, 1), gb(b), out(n), gd(dout);
      i.ops.residual_forward(out.data(), ga.data(), gb.data(), n);
      CHECK_SAME("residual_forward of " + i.name, out.values(), added(a, b), {{"i", n}}, {});
      CHECK((out.is_intact() && ga.is_unchanged() && gb.is_unchanged()));
      i.ops.residual_forward(ga.data(), ga.data(), gb.data(), n);  // in place
      CHECK_SAME("residual_forward in place of " + i.name, ga.values(), added(a, b), {{"i", n}},
                 {});

      Guarded da = accumulator(n, 4), db = accumulator(n, 5);
      const Values da0 = da.doubles(), db0 = db.doubles();
      i.ops.residual_backward(da.data(), db.data(), gd.data(), n);
      CHECK_SAME("da of " + i.name, da.values(), added(da0, dout), {{"i", n}}, {});
      CHECK_SAME("db of " + i.name, db.values(), added(db0, dout), {{"i", n}}, {});
      CHECK(gd.is_unchanged());
      // One buffer for the stream: da is dout, and keeps its value.
      i.ops.residual_backward(gd.data(), db.data(), gd.data(), n);
      CHECK(gd.is_unchanged());
      CHECK_SAME("db of " + i.name, db.values(), added(added(db0, dout), dout), {{"i", n}}, {});
    }
  }
}

TEST_CASE("dropout keeps the expectation, and the same mask both ways", "[dropout][lesson-10]") {
  constexpr std::int64_t kCount = 100'003;
  for (const Implementation& i : implementations()) {
    for (const float p : {0.0f, 0.1f, 0.75f}) {
      Guarded x(Values(kCount, 1.0)), out(kCount), dx(kCount, 2.0f);
      i.ops.dropout_forward(out.data(), x.data(), kCount, p, 7, 3);
      i.ops.dropout_backward(dx.data(), x.data(), kCount, p, 7, 3);
      std::int64_t dropped = 0;
      for (std::int64_t k = 0; k < kCount; ++k) {
        const float value = out.values()[k];
        dropped += value == 0;
        REQUIRE((value == 0 || std::abs(value - 1 / (1 - p)) < 1e-6));
        REQUIRE(dx.values()[k] == 2.0f + value);
      }
      const double expected = p * kCount;
      CHECK(std::abs(dropped - expected) <= 5 * std::sqrt(expected) + 0.5);
      CHECK((out.is_intact() && dx.is_intact() && x.is_unchanged()));
      i.ops.dropout_backward(dx.data(), dx.data(), kCount, p, 7, 3);  // in place: replaced
      for (std::int64_t k = 0; k < kCount; ++k)
        REQUIRE((dx.values()[k] == 0) == (out.values()[k] == 0));
    }
  }
}

TEST_CASE("every implementation drops what the contract's numbers say", "[dropout][lesson-10]") {
  for (const Implementation& i : implementations()) {
    for (const int n : {1, 3, 4, 5, 63, 64, 65, 1000}) {
      const Values x = random_values(n, 1);
      Guarded gx(x), out(n);
      i.ops.dropout_forward(out.data(), gx.data(), n, 0.4f, 11, 5);
      for (int k = 0; k < n; ++k) {
        const auto counter = static_cast<std::uint64_t>(k);
        const float u = uniform_from_bits(philox4x32(11, counter / 4, 5)[counter % 4]);
        INFO(i.name << " at " << k);
        CHECK((out.values()[k] == 0) == (u < 0.4f));
      }
    }
  }
}
