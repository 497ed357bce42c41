// Grades exercises/10-block/rmsnorm.cpp.
#include "solutions/10-block/block.h"
#include "tests/lessons/10-block/norm_exam.h"

namespace tinygpt::lessons {
namespace {

void examine_forward(Exam& exam) {
  std::vector<NormCase> cases = norm_cases();
  cases.push_back({"all values 0", 2, 5, Values(10, 0.0), 1e-5f});
  cases.push_back({"values around 1e15", 2, 5, random_values(10, 1, 1e15), 1e-5f});
  for (const NormCase& c : cases) {
    const Values weight = random_values(c.C, 2);
    const test::Exact expected = test::rmsnorm_equation(c.N, c.C, c.eps).forward({c.x, weight});
    const test::Statistics saved = test::row_statistics(c.x, c.N, c.C, c.eps, false);
    const auto answer = [&](const std::function<double(const NormTerms&)>& formula) {
      return by_formula(c.x, c.x, weight, saved, c.N, c.C, formula);
    };
    Sandbox& s = exam.call(fmt::format("rmsnorm_forward(N={}, C={}), {}", c.N, c.C, c.words));
    float *out = s.output(std::int64_t{c.N} * c.C), *rstd = s.output(c.N);
    const float *x = s.input(c.x), *w = s.input(weight);
    ref::rmsnorm_forward(out, rstd, x, w, c.N, c.C, c.eps);
    exam.expect("rstd", rstd, saved.rstd, {{"n", c.N}}, {.terms = static_cast<double>(c.C)},
                rstd_mistakes(c.x, c.N, c.C, c.eps, false));
    exam.expect("out", out, expected.value, {{"n", c.N}, {"c", c.C}},
                {.terms = static_cast<double>(c.C), .magnitudes = expected.magnitude},
                {gives(answer([](const NormTerms& t) { return t.xhat; }), "The weight is missing."),
                 gives(answer([](const NormTerms& t) { return t.xhat / t.rstd * t.weight; }),
                       "rstd is missing."),
                 gives(answer([](const NormTerms& t) { return t.x / t.rstd * t.weight; }),
                       "Multiply by rstd: it is 1 over the deviation already.")});
  }
}

std::vector<Mistake> dx_mistakes(
    const std::function<Values(const std::function<double(const NormTerms&)>&)>& of, int C) {
  using T = const NormTerms&;
  return {
      gives(of([](T t) { return t.rstd * t.g; }),
            "The way through rstd is missing: raising x[c] changes the row's mean square. Take "
            "xhat * average(g * xhat) off."),
      gives(of([](T t) { return t.rstd * (t.g - t.mean_g - t.xhat * t.mean_g_xhat); }),
            "RMSNorm has no mean: the average of g stays where it is. That term is LayerNorm's."),
      gives(of([](T t) { return t.g - t.xhat * t.mean_g_xhat; }),
            "All of it is multiplied by rstd: xhat is x times rstd."),
      gives(of([](T t) { return t.rstd * (t.d - t.xhat * t.mean_d_xhat); }),
            "The weight is missing: what arrives at xhat is g = dout * weight."),
      gives(of([](T t) { return t.rstd * (t.g - t.xhat * t.C * t.mean_g_xhat); }),
            "The sum has to be divided by C: it is an average over the row."),
      // The same number, whether the factor is missing in front or in the average.
      gives(of([](T t) { return t.rstd * (t.g - t.x * t.mean_g_xhat); }),
            "The last term lacks a factor rstd: it is xhat * average(g * xhat), with xhat = x * "
            "rstd in both places."),
      gives(of([](T t) { return t.rstd * (t.g - t.x * t.mean_g_x); }),
            "Two factors rstd are missing in the last term: xhat * average(g * xhat), not "
            "x * average(g * x)."),
      gives(of([](T t) { return t.rstd * (t.g + t.xhat * t.mean_g_xhat); }),
            "The sign of the last term: the part along xhat is taken off."),
      gives(of([](T t) { return t.rstd * (t.g - t.xhat * t.mean_d_xhat); }),
            "The average is of g * xhat, with g = dout * weight; yours is of dout * xhat."),
      gives(of([](T t) { return t.rstd * (t.g - t.xhat * t.weight * t.mean_g_xhat); }),
            "xhat is x * rstd, without the weight: with it, that is the output."),
      running_averages(C),
      only_first_row(kSumsGoOn),
  };
}

void examine_backward(Exam& exam) {
  for (const auto& [N, C] : std::vector<NormSize>{
           {3, 4}, {1, 1}, {0, 3}, {5, 2}, {1, 7}, {4, 17}, {9, 64}, {65, 8}, {3, 257}}) {
    for (const double eps : {0.5, 1e-5}) {
      const Values x = random_values(std::int64_t{N} * C, 1, 3.0, 2.0), w = random_values(C, 2),
                   dout = random_values(std::int64_t{N} * C, 4);
      const auto exact = test::rmsnorm_equation(N, C, eps).backward({x, w}, dout);
      const test::Statistics saved = test::row_statistics(x, N, C, eps, false);
      const auto of = [&, N = N, C = C](const std::function<double(const NormTerms&)>& formula) {
        return by_formula(x, dout, w, saved, N, C, formula);
      };
      const auto sums_of = [&, N = N, C = C](const std::function<double(const NormTerms&)>& f) {
        return column_sums(of(f), N, C);
      };
      Sandbox& s = exam.call(fmt::format("rmsnorm_backward(N={}, C={}), eps={:g}", N, C, eps));
      float *dx = s.accumulator(std::int64_t{N} * C, 5), *dweight = s.accumulator(C, 6);
      const float *dout_ = s.input(dout), *x_ = s.input(x), *w_ = s.input(w);
      const float* rstd = s.input(saved.rstd);
      const Values start = s.values(dweight);
      ref::rmsnorm_backward(dx, dweight, dout_, x_, w_, rstd, s.scratch(16), N, C);
      exam.expect_added("dx", dx, exact[0].value, {{"n", N}, {"c", C}},
                        {.terms = static_cast<double>(C), .magnitudes = exact[0].magnitude},
                        dx_mistakes(of, C));
      std::vector<Mistake> mistakes = weight_mistakes(sums_of, N, false);
      mistakes.push_back(
          each_row_replaces(of([](const NormTerms& t) { return t.d * t.xhat; }), start, N, C));
      exam.expect_added("dweight", dweight, exact[1].value, {{"c", C}},
                        {.terms = static_cast<double>(N), .magnitudes = exact[1].magnitude},
                        mistakes);
    }
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"10.rmsnorm_forward", examine_forward}, {"10.rmsnorm_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
