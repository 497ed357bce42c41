#include <Eigen/Core>

#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Map = Eigen::Map<const Matrix>;

Values flat(const Matrix& m) { return {m.data(), m.data() + m.size()}; }

struct Size {
  int N, C, OC;
};

// Ones, primes, and one more or less than what kernels like to cut at.
const std::vector<Size> kSizes = {
    {1, 1, 1},     {1, 7, 5},     {5, 1, 3},    {3, 5, 1},      {2, 17, 13},    {7, 64, 65},
    {13, 63, 31},  {16, 16, 16},  {17, 33, 29}, {64, 48, 96},   {65, 129, 97},  {128, 257, 47},
    {1, 300, 257}, {2, 128, 131}, {6, 97, 300}, {97, 300, 259}, {200, 19, 510}, {31, 520, 8},
    {0, 3, 4},     {3, 0, 4},     {3, 4, 0}};

}  // namespace

TEST_CASE("linear_forward is x W^T + b", "[linear][forward][lesson-03]") {
  for (const Implementation& implementation : implementations()) {
    for (const auto& [N, C, OC] : kSizes) {
      for (const bool with_bias : {true, false}) {
        const Values x = random_values(std::int64_t{N} * C, 1);
        const Values w = random_values(std::int64_t{OC} * C, 2);
        const Values b = random_values(OC, 3, 10.0);
        Matrix expected = Map(x.data(), N, C) * Map(w.data(), OC, C).transpose();
        Matrix size = Map(x.data(), N, C).cwiseAbs() * Map(w.data(), OC, C).transpose().cwiseAbs();
        if (with_bias) expected.rowwise() += Eigen::Map<const Eigen::RowVectorXd>(b.data(), OC);
        Guarded gx(x, 1), gw(w, 3), gb(b, 1), out(std::int64_t{N} * OC);
        Guarded scratch(implementation.ops.linear_scratch_size(N, C, OC));
        implementation.ops.linear_forward(out.data(), gx.data(), gw.data(),
                                          with_bias ? gb.data() : nullptr, scratch.data(), N, C,
                                          OC);
        const double scale = (size.size() > 0 ? size.maxCoeff() : 0.0) / std::max(C, 1) + 40;
        CHECK_SAME("linear_forward of " + implementation.name, out.values(), flat(expected),
                   {{"n", N}, {"o", OC}}, {.terms = double(C), .scale = scale});
        CHECK((out.is_intact() && scratch.is_intact()));
        CHECK((gx.is_unchanged() && gw.is_unchanged() && gb.is_unchanged()));
      }
    }
  }
}

TEST_CASE("linear_backward is dY W, dY^T X and the sum of dY", "[linear][backward][lesson-05]") {
  for (const Implementation& implementation : implementations()) {
    for (const auto& [N, C, OC] : kSizes) {
      const Values x = random_values(std::int64_t{N} * C, 1);
      const Values w = random_values(std::int64_t{OC} * C, 2);
      const Values dout = random_values(std::int64_t{N} * OC, 4);
      Guarded gx(x, 1), gw(w), gdout(dout, 3);
      Guarded dx = accumulator(std::int64_t{N} * C, 5), dw = accumulator(std::int64_t{OC} * C, 6);
      Guarded db = accumulator(OC, 7);
      const Values dx0 = dx.doubles(), dw0 = dw.doubles(), db0 = db.doubles();
      Guarded scratch(implementation.ops.linear_scratch_size(N, C, OC));
      implementation.ops.linear_backward(dx.data(), dw.data(), db.data(), gdout.data(), gx.data(),
                                         gw.data(), scratch.data(), N, C, OC);
      const Map X(x.data(), N, C), W(w.data(), OC, C), D(dout.data(), N, OC);
      const Matrix sums = D.colwise().sum();
      CHECK_SAME("dx of " + implementation.name, dx.values(), added(dx0, flat(D * W)),
                 {{"n", N}, {"c", C}}, {.terms = double(OC), .scale = 8});
      CHECK_SAME("dweight of " + implementation.name, dw.values(),
                 added(dw0, flat(D.transpose() * X)), {{"o", OC}, {"c", C}},
                 {.terms = double(N), .scale = 8});
      CHECK_SAME("dbias of " + implementation.name, db.values(), added(db0, flat(sums)),
                 {{"o", OC}}, {.terms = double(N), .scale = 4});
      CHECK((dx.is_intact() && dw.is_intact() && db.is_intact() && scratch.is_intact()));
      CHECK((gx.is_unchanged() && gw.is_unchanged() && gdout.is_unchanged()));
    }
  }
}

TEST_CASE("linear_backward matches finite differences", "[linear][backward][lesson-05]") {
  constexpr int N = 3, C = 5, OC = 4;
  const std::vector<Values> inputs = {random_values(N * C, 1), random_values(OC * C, 2),
                                      random_values(OC, 3)};
  const Formula f = [](const std::vector<Values>& in) {
    Matrix out = Map(in[0].data(), N, C) * Map(in[1].data(), OC, C).transpose();
    out.rowwise() += Eigen::Map<const Eigen::RowVectorXd>(in[2].data(), OC);
    return flat(out);
  };
  const Values dout = random_values(N * OC, 4);
  const std::vector<Values> expected = numeric_gradients(f, inputs, dout);
  for (const Implementation& implementation : implementations()) {
    Guarded x(inputs[0]), w(inputs[1]), d(dout), dx(N * C, 0), dw(OC * C, 0), db(OC, 0);
    Guarded scratch(implementation.ops.linear_scratch_size(N, C, OC));
    implementation.ops.linear_backward(dx.data(), dw.data(), db.data(), d.data(), x.data(),
                                       w.data(), scratch.data(), N, C, OC);
    CHECK_SAME("dx of " + implementation.name, dx.values(), expected[0], {{"n", N}, {"c", C}},
               {.terms = OC});
    CHECK_SAME("dweight of " + implementation.name, dw.values(), expected[1], {{"o", OC}, {"c", C}},
               {.terms = N});
    CHECK_SAME("dbias of " + implementation.name, db.values(), expected[2], {{"o", OC}},
               {.terms = N});
  }
}

TEST_CASE("linear_backward computes only what is asked for", "[linear][backward][lesson-05]") {
  constexpr int N = 19, C = 23, OC = 37;
  const Values x = random_values(N * C, 1), w = random_values(OC * C, 2);
  const Values dout = random_values(N * OC, 4);
  const Map X(x.data(), N, C), W(w.data(), OC, C), D(dout.data(), N, OC);
  for (const Implementation& implementation : implementations()) {
    Guarded gx(x), gw(w), gd(dout), dx(N * C, 0), dw(OC * C, 0);
    Guarded scratch(implementation.ops.linear_scratch_size(N, C, OC));
    implementation.ops.linear_backward(dx.data(), nullptr, nullptr, gd.data(), gx.data(), gw.data(),
                                       scratch.data(), N, C, OC);
    implementation.ops.linear_backward(nullptr, dw.data(), nullptr, gd.data(), gx.data(), gw.data(),
                                       scratch.data(), N, C, OC);
    CHECK_SAME("dx of " + implementation.name, dx.values(), flat(D * W), {{"n", N}, {"c", C}},
               {.terms = OC});
    CHECK_SAME("dweight of " + implementation.name, dw.values(), flat(D.transpose() * X),
               {{"o", OC}, {"c", C}}, {.terms = N});
  }
}
