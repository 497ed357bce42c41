#include <omp.h>

#include <cmath>
#include <limits>

#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

TEST_CASE("ten steps of adamw match the algorithm in double", "[adamw][lesson-13]") {
  for (const Implementation& i : implementations()) {
    for (const int n : {1, 7, 16, 33, 5000}) {
      Values param = random_values(n, 1), m(std::size_t(n), 0.0), v(std::size_t(n), 0.0);
      Guarded gp(param, 1), gm(m), gv(v);
      AdamwSettings s;
      s.lr = 0.01f, s.beta1 = 0.9f, s.beta2 = 0.95f, s.eps = 1e-8f, s.weight_decay = 0.1f;
      for (s.step = 1; s.step <= 10; ++s.step) {
        const Values grad = random_values(n, 10 + s.step);
        Guarded gg(grad, 1);
        i.ops.adamw_step(gp.data(), nullptr, gm.data(), gv.data(), gg.data(), n, s);
        for (int k = 0; k < n; ++k) {
          const double b1 = s.beta1, b2 = s.beta2;
          param[k] -= double(s.lr) * s.weight_decay * param[k];
          m[k] = b1 * m[k] + (1 - b1) * grad[k];
          v[k] = b2 * v[k] + (1 - b2) * grad[k] * grad[k];
          const double mhat = m[k] / (1 - std::pow(b1, s.step));
          const double vhat = v[k] / (1 - std::pow(b2, s.step));
          param[k] -= s.lr * mhat / (std::sqrt(vhat) + s.eps);
        }
        CHECK(gg.is_unchanged());
      }
      CHECK_SAME("param of " + i.name, gp.values(), param, {{"i", n}}, {.scale = 3});
      CHECK_SAME("m of " + i.name, gm.values(), m, {{"i", n}}, {.scale = 3});
      CHECK_SAME("v of " + i.name, gv.values(), v, {{"i", n}}, {.scale = 8});
      CHECK((gp.is_intact() && gm.is_intact() && gv.is_intact()));
    }
  }
}

TEST_CASE("adamw's first step has the size of the learning rate", "[adamw][lesson-13]") {
  // m / sqrt(v) is 1 or -1 after the corrections, however small the gradient.
  for (const Implementation& i : implementations()) {
    Guarded p(Values{1, 1, 1}), m(Values(3, 0.0)), v(Values(3, 0.0)), g(Values{1e-3, -5, 0});
    AdamwSettings s;
    s.lr = 0.5f, s.weight_decay = 0;
    i.ops.adamw_step(p.data(), nullptr, m.data(), v.data(), g.data(), 3, s);
    CHECK_SAME("param of " + i.name, p.values(), {0.5, 1.5, 1}, {{"i", 3}}, {.factor = 200});
  }
}

TEST_CASE("weight decay does not pass through the moments", "[adamw][lesson-13]") {
  for (const Implementation& i : implementations()) {
    Guarded p(Values{2, -4}), m(Values(2, 0.0)), v(Values(2, 0.0)), g(Values{0, 0});
    AdamwSettings s;
    s.lr = 0.1f, s.weight_decay = 0.5f;
    i.ops.adamw_step(p.data(), nullptr, m.data(), v.data(), g.data(), 2, s);
    CHECK_SAME("param of " + i.name, p.values(), {1.9, -3.8}, {{"i", 2}}, {});
    CHECK(m.values()[0] == 0);
  }
}

TEST_CASE("gradient_norm sums over everything, exactly and repeatably",
          "[gradient_norm][lesson-13]") {
  const int threads = omp_get_max_threads();
  for (const Implementation& i : implementations()) {
    for (const int n : {0, 1, 15, 16, 17, 100'003}) {
      const Values grad = random_values(n, 1);
      double squares = 0;
      for (const double g : grad) squares += g * g;
      float first = -1;
      for (const int t : {threads, 1, 3}) {
        omp_set_num_threads(t);
        Guarded g(grad, 1), norm(1), scratch(i.ops.gradient_norm_scratch_size(n));
        i.ops.gradient_norm(norm.data(), g.data(), scratch.data(), n);
        CHECK_SAME("norm of " + i.name, norm.values(), {std::sqrt(squares)}, {{"", 1}},
                   {.factor = 2});
        CHECK((g.is_unchanged() && norm.is_intact() && scratch.is_intact()));
        if (first >= 0) CHECK(norm.values()[0] == first);
        first = norm.values()[0];
      }
      omp_set_num_threads(threads);
    }
  }
}

TEST_CASE("clip_gradients shortens what is too long and nothing else",
          "[gradient_norm][lesson-13]") {
  for (const Implementation& i : implementations()) {
    for (const int n : {1, 17, 5000}) {
      const Values grad = random_values(n, 1);
      const auto clipped = [&](float norm, float limit) {
        Guarded g(grad, 1);
        i.ops.clip_gradients(g.data(), &norm, n, limit);
        CHECK(g.is_intact());
        return g;
      };
      CHECK(clipped(2.0f, 2.0f).is_unchanged());
      CHECK(clipped(1.0f, 2.0f).is_unchanged());
      CHECK(clipped(std::numeric_limits<float>::quiet_NaN(), 2.0f).is_unchanged());
      CHECK(clipped(std::numeric_limits<float>::infinity(), 2.0f).is_unchanged());
      Values half = grad;
      for (double& g : half) g /= 2;
      CHECK_SAME("clip_gradients of " + i.name, clipped(4.0f, 2.0f).values(), half, {{"i", n}}, {});
    }
  }
}
