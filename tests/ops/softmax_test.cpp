#include <cmath>

#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, V;
};
const std::vector<Size> kSizes = {{0, 5},  {1, 1},  {3, 2},  {2, 7},
                                  {4, 16}, {5, 17}, {3, 65}, {2, 1000}};

Formula softmax_formula(int N, int V) {
  return [=](const std::vector<Values>& in) {
    Values out(in[0].size());
    for (int n = 0; n < N; ++n) {
      const std::size_t row = std::size_t(n) * V;
      double largest = -INFINITY, sum = 0;
      for (int v = 0; v < V; ++v) largest = std::max(largest, in[0][row + v]);
      for (int v = 0; v < V; ++v) sum += std::exp(in[0][row + v] - largest);
      for (int v = 0; v < V; ++v) out[row + v] = std::exp(in[0][row + v] - largest) / sum;
    }
    return out;
  };
}

Formula cross_entropy_formula(int N, int V, std::vector<int> targets) {
  return [=](const std::vector<Values>& in) {
    Values losses;
    for (int n = 0; n < N; ++n) {
      const double* x = &in[0][std::size_t(n) * V];
      double largest = -INFINITY, sum = 0;
      for (int v = 0; v < V; ++v) largest = std::max(largest, x[v]);
      for (int v = 0; v < V; ++v) sum += std::exp(x[v] - largest);
      const int target = targets[std::size_t(n)];
      losses.push_back(target < 0 ? 0.0 : largest + std::log(sum) - x[target]);
    }
    return losses;
  };
}

std::vector<int> some_targets(int N, int V) {
  std::vector<int> targets = random_tokens(N, V, 9);
  if (N > 1) targets[1] = kIgnoreTarget;
  return targets;
}

}  // namespace

TEST_CASE("softmax_forward matches its equation, small and large",
          "[softmax][forward][lesson-04]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, V] : kSizes) {
      for (const double scale : {1.0, 30.0, 1e4}) {
        const Values x = random_values(std::int64_t{N} * V, 1, scale);
        Guarded gx(x, 1), out(std::int64_t{N} * V);
        i.ops.softmax_forward(out.data(), gx.data(), N, V);
        CHECK_SAME("softmax_forward of " + i.name, out.values(), softmax_formula(N, V)({x}),
                   {{"n", N}, {"v", V}}, {.scale = 2});
        CHECK((out.is_intact() && gx.is_unchanged()));
        i.ops.softmax_forward(gx.data(), gx.data(), N, V);
        CHECK_SAME("softmax_forward in place of " + i.name, gx.values(), out.doubles(),
                   {{"n", N}, {"v", V}}, {});
      }
    }
  }
}

TEST_CASE("softmax gives masked entries probability zero", "[softmax][forward][lesson-04]") {
  for (const Implementation& i : implementations()) {
    Values x(33, -INFINITY);
    x[5] = 2, x[20] = 2, x[32] = -1e30;
    Guarded gx(x), out(33);
    i.ops.softmax_forward(out.data(), gx.data(), 1, 33);
    Values expected(33, 0.0);
    expected[5] = expected[20] = 0.5;
    CHECK_SAME("softmax_forward of " + i.name, out.values(), expected, {{"v", 33}}, {});
  }
}

TEST_CASE("softmax_backward matches finite differences", "[softmax][backward][lesson-04]") {
  for (const auto& [N, V] : kSizes) {
    if (V > 100) continue;
    const Values x = random_values(std::int64_t{N} * V, 1, 2.0);
    const Values dout = random_values(std::int64_t{N} * V, 2);
    const auto expected = numeric_gradients(softmax_formula(N, V), {x}, dout);
    for (const Implementation& i : implementations()) {
      Guarded gx(x), out(std::int64_t{N} * V), d(dout, 1), dx = accumulator(std::int64_t{N} * V, 3);
      const Values start = dx.doubles();
      i.ops.softmax_forward(out.data(), gx.data(), N, V);
      i.ops.softmax_backward(dx.data(), d.data(), out.data(), N, V);
      CHECK_SAME("softmax_backward of " + i.name, dx.values(), added(start, expected[0]),
                 {{"n", N}, {"v", V}}, {.terms = double(V), .scale = 3});
      CHECK((dx.is_intact() && d.is_unchanged()));
    }
  }
}

TEST_CASE("cross_entropy_forward matches its equation", "[cross_entropy][forward][lesson-04]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, V] : kSizes) {
      for (const double scale : {1.0, 30.0, 1e4}) {
        const Values logits = random_values(std::int64_t{N} * V, 1, scale);
        std::vector<int> targets = some_targets(N, V);
        Guarded x(logits, 1), losses(N), lse(N);
        i.ops.cross_entropy_forward(losses.data(), lse.data(), x.data(), targets.data(), N, V);
        CHECK_SAME("losses of " + i.name, losses.values(),
                   cross_entropy_formula(N, V, targets)({logits}), {{"n", N}},
                   {.scale = 3 * scale});
        CHECK((losses.is_intact() && lse.is_intact() && x.is_unchanged()));
      }
    }
  }
}

TEST_CASE("a sure and right prediction has loss zero, not a rounding of its logits",
          "[cross_entropy][forward][lesson-04]") {
  for (const Implementation& i : implementations()) {
    Guarded x(Values{1e4, 0, 0}), losses(1), lse(1);
    const int target = 0;
    i.ops.cross_entropy_forward(losses.data(), lse.data(), x.data(), &target, 1, 3);
    CHECK(losses.values()[0] == 0.0f);
  }
}

TEST_CASE("softmax_cross_entropy_backward matches finite differences, apart and in place",
          "[cross_entropy][backward][lesson-04]") {
  for (const auto& [N, V] : kSizes) {
    if (V > 100) continue;
    constexpr float kScale = 0.25f;
    const Values logits = random_values(std::int64_t{N} * V, 1, 2.0);
    std::vector<int> targets = some_targets(N, V);
    const auto expected = numeric_gradients(cross_entropy_formula(N, V, targets), {logits},
                                            Values(std::size_t(N), kScale));
    for (const Implementation& i : implementations()) {
      Guarded x(logits), losses(N), lse(N), dx = accumulator(std::int64_t{N} * V, 3);
      const Values start = dx.doubles();
      i.ops.cross_entropy_forward(losses.data(), lse.data(), x.data(), targets.data(), N, V);
      i.ops.softmax_cross_entropy_backward(dx.data(), x.data(), lse.data(), targets.data(), N, V,
                                           kScale);
      const Shape shape = {{"n", N}, {"v", V}};
      CHECK_SAME("dlogits of " + i.name, dx.values(), added(start, expected[0]), shape,
                 {.scale = 3});
      CHECK((dx.is_intact() && x.is_unchanged()));
      i.ops.softmax_cross_entropy_backward(x.data(), x.data(), lse.data(), targets.data(), N, V,
                                           kScale);
      CHECK_SAME("dlogits in place of " + i.name, x.values(), expected[0], shape, {.scale = 1});
      CHECK(x.is_intact());
    }
  }
}
