#include <omp.h>

#include <Eigen/Core>
#include <cmath>

#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;

struct Size {
  int B, T, NH, NKV, HS;
  bool causal;
  std::int64_t qkv() const { return std::int64_t{B} * T * (NH + 2 * NKV) * HS; }
  std::int64_t out() const { return std::int64_t{B} * T * NH * HS; }
};

// softmax(Q K^T / sqrt(HS)) V for each sequence and head, masked above the diagonal if causal.
Formula attention_formula(const Size& s) {
  return [s](const std::vector<Values>& in) {
    const int stride = (s.NH + 2 * s.NKV) * s.HS;
    Values result(static_cast<std::size_t>(s.out()));
    for (int b = 0; b < s.B; ++b) {
      const double* rows = in[0].data() + std::int64_t{b} * s.T * stride;
      for (int h = 0; h < s.NH; ++h) {
        const int group = h / (s.NH / s.NKV);
        const auto part = [&](int head) {
          return Strided(rows + head * s.HS, s.T, s.HS, Eigen::OuterStride<>(stride));
        };
        Matrix p = part(h) * part(s.NH + group).transpose() / std::sqrt(double(s.HS));
        for (int t = 0; t < s.T; ++t) {
          for (int u = t + 1; s.causal && u < s.T; ++u) p(t, u) = -INFINITY;
          p.row(t) = (p.row(t).array() - p.row(t).maxCoeff()).exp();
          p.row(t) /= p.row(t).sum();
        }
        const Matrix out = p * part(s.NH + s.NKV + group);
        for (int t = 0; t < s.T; ++t) {
          for (int d = 0; d < s.HS; ++d) {
            result[((std::size_t(b) * s.T + t) * s.NH + h) * s.HS + d] = out(t, d);
          }
        }
      }
    }
    return result;
  };
}

struct Run {
  Run(const Ops<float>& ops, const Size& s, const Values& input)
      : qkv(input, 1),
        out(s.out()),
        lse(attention_lse_size(s.B, s.T, s.NH)),
        scratch(ops.attention_scratch_size(s.B, s.T, s.NH, s.NKV, s.HS)) {
    ops.attention_forward(out.data(), lse.data(), qkv.data(), scratch.data(), s.B, s.T, s.NH, s.NKV,
                          s.HS, s.causal);
  }
  bool is_clean() const {
    return qkv.is_unchanged() && out.is_intact() && lse.is_intact() && scratch.is_intact();
  }
  Guarded qkv, out, lse, scratch;
};

void backward(const Ops<float>& ops, const Size& s, Run& run, Guarded& dqkv, Guarded& dout) {
  ops.attention_backward(dqkv.data(), dout.data(), run.out.data(), run.lse.data(), run.qkv.data(),
                         run.scratch.data(), s.B, s.T, s.NH, s.NKV, s.HS, s.causal);
}

Shape out_shape(const Size& s) { return {{"b", s.B}, {"t", s.T}, {"h", s.NH}, {"d", s.HS}}; }
Shape qkv_shape(const Size& s) {
  return {{"b", s.B}, {"t", s.T}, {"q|k|v head", s.NH + 2 * s.NKV}, {"d", s.HS}};
}

const std::vector<Size> kSmall = {
    {1, 1, 1, 1, 1, true}, {1, 2, 1, 1, 3, true},  {2, 5, 2, 2, 4, true}, {2, 5, 2, 2, 4, false},
    {1, 7, 4, 2, 3, true}, {1, 6, 6, 1, 2, false}, {3, 3, 3, 3, 5, true}, {1, 9, 2, 1, 8, true}};

// Beyond the tiles that fast kernels cut at.
const std::vector<Size> kLarge = {{1, 65, 2, 2, 16, true},   {2, 64, 1, 1, 64, true},
                                  {1, 129, 2, 1, 32, true},  {1, 97, 2, 2, 17, false},
                                  {1, 300, 1, 1, 24, true},  {1, 130, 4, 2, 40, false},
                                  {1, 257, 1, 1, 128, true}, {2, 33, 3, 1, 48, true}};

}  // namespace

TEST_CASE("attention_forward matches its equation", "[attention][forward][lesson-08]") {
  std::vector<Size> sizes = kSmall;
  sizes.insert(sizes.end(), kLarge.begin(), kLarge.end());
  for (const Implementation& i : implementations()) {
    for (const Size& s : sizes) {
      for (const double scale : {1.0, 8.0}) {  // the larger one saturates the softmax
        const Values qkv = random_values(s.qkv(), 1, scale);
        const Run run(i.ops, s, qkv);
        // A score has an error of eps * HS * scale^2, and exp makes it a relative one.
        CHECK_SAME("attention_forward of " + i.name, run.out.values(), attention_formula(s)({qkv}),
                   out_shape(s), {.terms = double(s.HS) * s.T, .scale = scale * scale * scale});
        CHECK(run.is_clean());
      }
    }
  }
}

TEST_CASE("attention saves the log of the sum", "[attention][forward][lesson-08]") {
  for (const Implementation& i : implementations()) {
    const Size s{1, 3, 1, 1, 2, true};
    const Values qkv = random_values(s.qkv(), 3);
    const Run run(i.ops, s, qkv);
    Values expected;
    for (int t = 0; t < 3; ++t) {
      double sum = 0;
      for (int u = 0; u <= t; ++u) {
        const double score = (qkv[t * 6] * qkv[u * 6 + 2] + qkv[t * 6 + 1] * qkv[u * 6 + 3]);
        sum += std::exp(score / std::sqrt(2.0));
      }
      expected.push_back(std::log(sum));
    }
    CHECK_SAME("lse of " + i.name, run.lse.values(), expected, {{"t", 3}}, {.scale = 2});
  }
}

TEST_CASE("causal attention does not see the future", "[attention][forward][lesson-08]") {
  const Size s{1, 70, 2, 2, 8, true};
  Values qkv = random_values(s.qkv(), 1);
  for (const Implementation& i : implementations()) {
    const Run before(i.ops, s, qkv);
    Values changed = qkv;
    const std::size_t row = (s.NH + 2 * s.NKV) * s.HS;
    for (std::size_t k = 40 * row; k < changed.size(); ++k) changed[k] = 1e4;  // t >= 40
    const Run after(i.ops, s, changed);
    const std::size_t kept = 40 * s.NH * s.HS;
    CHECK(std::equal(before.out.values().begin(), before.out.values().begin() + kept,
                     after.out.values().begin()));
  }
}

TEST_CASE("attention_backward matches finite differences", "[attention][backward][lesson-08]") {
  for (const Size& s : kSmall) {
    const Values qkv = random_values(s.qkv(), 1), dout = random_values(s.out(), 2);
    const auto expected = numeric_gradients(attention_formula(s), {qkv}, dout);
    for (const Implementation& i : implementations()) {
      Run run(i.ops, s, qkv);
      Guarded d(dout, 1), dqkv = accumulator(s.qkv(), 3);
      const Values start = dqkv.doubles();
      backward(i.ops, s, run, dqkv, d);
      CHECK_SAME("attention_backward of " + i.name, dqkv.values(), added(start, expected[0]),
                 qkv_shape(s), {.terms = double(s.HS) * s.T, .scale = 6});
      CHECK((run.is_clean() && dqkv.is_intact() && d.is_unchanged()));
    }
  }
}

TEST_CASE("attention_backward is right along random directions",
          "[attention][backward][lesson-08]") {
  for (const Size& s : kLarge) {
    const Values qkv = random_values(s.qkv(), 1), dout = random_values(s.out(), 2);
    std::vector<Values> gradients;
    for (const Implementation& i : implementations()) {
      Run run(i.ops, s, qkv);
      Guarded d(dout), dqkv(s.qkv(), 0);
      backward(i.ops, s, run, dqkv, d);
      CHECK((run.is_clean() && dqkv.is_intact()));
      gradients.push_back(dqkv.doubles());
      // Against the first implementation, value by value.
      CHECK_SAME("attention_backward of " + i.name + " beside ref", dqkv.values(), gradients[0],
                 qkv_shape(s), {.terms = double(s.HS) * s.T, .scale = 4});
    }
    const Values direction = random_values(s.qkv(), 5);
    const double expected = numeric_derivative(attention_formula(s), {qkv}, dout, {direction});
    for (const Values& gradient : gradients) {
      double sum = 0, size = 0;
      for (std::size_t k = 0; k < gradient.size(); ++k) {
        sum += gradient[k] * direction[k];
        size += std::pow(gradient[k] * direction[k], 2);
      }
      CHECK(std::abs(sum - expected) < 1e-4 * std::sqrt(size));
    }
  }
}

TEST_CASE("attention is the same from run to run and for any number of threads",
          "[attention][lesson-08]") {
  const Size s{2, 150, 3, 3, 32, true};
  const Values qkv = random_values(s.qkv(), 1), dout = random_values(s.out(), 2);
  const int threads = omp_get_max_threads();
  for (const Implementation& i : implementations()) {
    std::vector<Values> results;
    for (const int n : {threads, threads, 1, 3}) {
      omp_set_num_threads(n);
      Run run(i.ops, s, qkv);
      Guarded d(dout), dqkv(s.qkv(), 0);
      backward(i.ops, s, run, dqkv, d);
      results.push_back(dqkv.doubles());
      CHECK(results.back() == results.front());
    }
  }
  omp_set_num_threads(threads);
}

TEST_CASE("attention refuses heads that do not divide", "[attention][lesson-08]") {
  for (const Implementation& i : implementations()) {
    Guarded buffer(1000, 0);
    CHECK_THROWS(i.ops.attention_forward(buffer.data(), buffer.data(), buffer.data(), buffer.data(),
                                         1, 2, 3, 2, 4, true));
  }
}
