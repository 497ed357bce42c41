#include <cmath>

#include "tests/support/operator_case.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

TEST_CASE("learned positions are added by place, from start on",
          "[positions][forward][lesson-09]") {
  for (const Implementation& i : implementations()) {
    for (const int start : {0, 3}) {
      constexpr int B = 3, T = 5, C = 17, kMax = 8;
      const Values x = random_values(B * T * C, 1), weight = random_values(kMax * C, 2);
      Values expected = x;
      for (int k = 0; k < B * T * C; ++k) {
        expected[k] += weight[(start + k / C % T) * C + k % C];
      }
      Guarded gx(x, 1), gw(weight), out(B * T * C);
      i.ops.learned_positions_forward(out.data(), gx.data(), gw.data(), B, T, C, start);
      const Shape shape = {{"b", B}, {"t", T}, {"c", C}};
      CHECK_SAME("learned_positions_forward of " + i.name, out.values(), expected, shape, {});
      CHECK((out.is_intact() && gx.is_unchanged() && gw.is_unchanged()));
      i.ops.learned_positions_forward(gx.data(), gx.data(), gw.data(), B, T, C, start);
      CHECK_SAME("in place of " + i.name, gx.values(), expected, shape, {});
    }
  }
}

TEST_CASE("learned positions collect the gradient of the whole batch",
          "[positions][backward][lesson-09]") {
  for (const Implementation& i : implementations()) {
    for (const int start : {0, 3}) {
      constexpr int B = 3, T = 5, C = 17, kMax = 8;
      const Values dout = random_values(B * T * C, 1);
      Guarded gd(dout, 1), dw = accumulator(kMax * C, 2);
      Values expected = dw.doubles();
      for (int k = 0; k < B * T * C; ++k) expected[(start + k / C % T) * C + k % C] += dout[k];
      i.ops.learned_positions_backward(dw.data(), gd.data(), B, T, C, start);
      CHECK_SAME("learned_positions_backward of " + i.name, dw.values(), expected,
                 {{"place", kMax}, {"c", C}}, {.terms = B});
      CHECK((dw.is_intact() && gd.is_unchanged()));
    }
  }
}

TEST_CASE("sinusoidal positions match their equation", "[positions][forward][lesson-09]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [T, C] : std::vector<std::pair<int, int>>{{1, 1}, {5, 7}, {300, 16}}) {
      Values expected;
      for (int t = 0; t < T; ++t) {
        for (int c = 0; c < C; ++c) {
          const double angle = t / std::pow(10000.0, double(c / 2 * 2) / C);
          expected.push_back(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
        }
      }
      Guarded table(std::int64_t{T} * C);
      i.ops.sinusoidal_positions(table.data(), T, C, 10000.0f);
      CHECK_SAME("sinusoidal_positions of " + i.name, table.values(), expected,
                 {{"t", T}, {"c", C}}, {.scale = 1, .factor = 2});
      CHECK(table.is_intact());
    }
  }
}

TEST_CASE("rope turns pairs half a head apart by their place's angle", "[rope][lesson-09]") {
  constexpr int B = 2, T = 5, NH = 3, HS = 6, kStride = NH * HS + 4, kStart = 2, kMax = 9;
  const Values x = random_values(B * T * kStride, 1);
  Values forward = x, backward = x;
  for (int bt = 0; bt < B * T; ++bt) {
    for (int k = 0; k < NH * HS / 2; ++k) {
      const int first = bt * kStride + k / (HS / 2) * HS + k % (HS / 2), second = first + HS / 2;
      const double angle = (kStart + bt % T) * std::pow(100.0, -2.0 * (k % (HS / 2)) / HS);
      const double c = std::cos(angle), s = std::sin(angle);
      forward[first] = x[first] * c - x[second] * s;
      forward[second] = x[first] * s + x[second] * c;
      backward[first] = x[first] * c + x[second] * s;
      backward[second] = -x[first] * s + x[second] * c;
    }
  }
  for (const Implementation& i : implementations()) {
    Guarded cosine(kMax * HS / 2), sine(kMax * HS / 2), gx(x, 1), gd(x, 1);
    i.ops.rope_table(cosine.data(), sine.data(), kMax, HS, 100.0f);
    i.ops.rope_forward(gx.data(), cosine.data(), sine.data(), B, T, NH, HS, kStride, kStart);
    i.ops.rope_backward(gd.data(), cosine.data(), sine.data(), B, T, NH, HS, kStride, kStart);
    const Shape shape = {{"b", B}, {"t", T}, {"column", kStride}};
    CHECK_SAME("rope_forward of " + i.name, gx.values(), forward, shape, {});
    CHECK_SAME("rope_backward of " + i.name, gd.values(), backward, shape, {});
    CHECK((gx.is_intact() && gd.is_intact() && cosine.is_intact() && sine.is_intact()));
    CHECK_THROWS_AS(i.ops.rope_table(cosine.data(), sine.data(), 2, 5, 100.0f), Error);
  }
}

TEST_CASE("rope makes scores depend on the distance alone", "[rope][lesson-09]") {
  constexpr int HS = 16, kMax = 600;
  const Values q = random_values(HS, 1), k = random_values(HS, 2);
  for (const Implementation& i : implementations()) {
    Guarded cosine(kMax * HS / 2), sine(kMax * HS / 2);
    i.ops.rope_table(cosine.data(), sine.data(), kMax, HS, 10000.0f);
    const auto score = [&](int q_place, int k_place) {
      Guarded gq(q), gk(k);
      i.ops.rope_forward(gq.data(), cosine.data(), sine.data(), 1, 1, 1, HS, HS, q_place);
      i.ops.rope_forward(gk.data(), cosine.data(), sine.data(), 1, 1, 1, HS, HS, k_place);
      double sum = 0;
      for (int c = 0; c < HS; ++c) sum += double(gq.values()[c]) * gk.values()[c];
      return sum;
    };
    CHECK(std::abs(score(7, 3) - score(504, 500)) < 1e-4);
    CHECK(std::abs(score(7, 3) - score(7, 4)) > 1e-2);
  }
}
