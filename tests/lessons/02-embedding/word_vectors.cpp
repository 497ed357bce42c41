// Grades exercises/02-embedding/word_vectors.cpp.
#include "solutions/02-embedding/word_vectors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

struct Rule {
  bool keep_target = false;   // a negative that is the context counts as one
  bool moved_center = false;  // the outer vectors see the center after its step
  bool no_negatives = false;
  double sign = 1;
};

struct Result {
  Values in, out;
  double loss = 0;
};

double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

Result exact(const Values& in, const Values& out, int center, int context,
             const std::vector<int>& negatives, int C, double lr, const Rule& rule) {
  Result r{in, out, 0};
  const auto row = [C](const Values& of, int v, int c) {
    return of[static_cast<std::size_t>(v * C + c)];
  };
  Values moved = in;
  std::vector<std::pair<int, double>> slopes;
  const auto add = [&](int word, bool near) {
    double dot = 0;
    for (int c = 0; c < C; ++c) dot += row(in, center, c) * row(out, word, c);
    slopes.emplace_back(word, 1 / (1 + std::exp(-dot)) - near);
    r.loss += softplus(near ? -dot : dot);
  };
  add(context, true);
  for (const int word : negatives) {
    if (!rule.no_negatives && (rule.keep_target || word != context)) add(word, false);
  }
  for (const auto& [word, slope] : slopes) {
    for (int c = 0; c < C; ++c)
      r.in[static_cast<std::size_t>(center * C + c)] -= rule.sign * lr * slope * row(out, word, c);
  }
  for (const auto& [word, slope] : slopes) {
    for (int c = 0; c < C; ++c) {
      r.out[static_cast<std::size_t>(word * C + c)] -=
          rule.sign * lr * slope * row(rule.moved_center ? r.in : in, center, c);
    }
  }
  return r;
}

void examine_step(Exam& exam) {
  struct Case {
    int V, C, center, context;
    std::vector<int> negatives;
    double scale;
  };
  for (const auto& [V, C, center, context, negatives, scale] :
       std::vector<Case>{{5, 3, 1, 2, {0, 4}, 1},
                         {3, 1, 0, 1, {}, 1},
                         {6, 4, 2, 2, {3, 3, 5}, 1},
                         {7, 5, 3, 1, {1, 0, 1, 6}, 1},
                         {4, 8, 0, 3, {1, 2}, 12}}) {
    const Values in = random_values(std::int64_t{V} * C, 1, scale),
                 out = random_values(std::int64_t{V} * C, 2, scale);
    constexpr double kRate = 0.25;
    const auto with = [&](const Rule& rule) {
      return exact(in, out, center, context, negatives, C, kRate, rule);
    };
    const Result right = with({}), target = with({.keep_target = true}),
                 moved = with({.moved_center = true});
    const Result uphill = with({.sign = -1}), lonely = with({.no_negatives = true});
    Sandbox& s = exam.call(
        fmt::format("skipgram_step(center={}, context={}, negatives={{{}}}, C={}){}", center,
                    context, fmt::join(negatives, ", "), C, scale > 1 ? ", long vectors" : ""));
    float *in_ = s.accumulator(in), *out_ = s.accumulator(out);
    const int* negatives_ = s.input(negatives);
    const float loss =
        ref::skipgram_step(in_, out_, center, context, negatives_,
                           static_cast<int>(negatives.size()), C, static_cast<float>(kRate));
    const std::string target_words =
        "A negative that is the context itself must be skipped: it cannot be near and far at once.";
    const Tolerance tolerance{.terms = 8.0 * C, .scale = 4 * scale};
    exam.expect(
        "loss", Values{loss}, Values{right.loss}, {{"of the step", 1}},
        {.terms = 8.0 * C, .scale = 4 * scale * scale},
        {gives({target.loss}, target_words),
         gives({lonely.loss}, "Only the context is in the loss: the negatives are missing."),
         when([](const Answer& a) { return !std::isfinite(a.actual[0]); },
              "The logarithm of a sigmoid that has rounded to 0. log(1 + exp(-x)) is the same, and "
              "finite.")});
    const Shape shape = {{"v", V}, {"c", C}};
    const auto mistakes = [&](Values Result::*part) {
      return std::vector<Mistake>{
          gives(target.*part, target_words),
          gives(uphill.*part,
                "The step goes uphill: each vector moves by minus lr times its gradient."),
          gives(lonely.*part, "The negatives do nothing: they must be pushed away."),
          gives(moved.*part,
                "Take all gradients before any vector moves: here the outer vectors see the center "
                "after its step."),
          gives(part == &Result::in ? in : out, "These vectors have not moved at all.")};
    };
    exam.expect("in", in_, right.in, shape, tolerance, mistakes(&Result::in));
    exam.expect("out", out_, right.out, shape, tolerance, mistakes(&Result::out));
  }
}

void examine_nearest(Exam& exam) {
  const auto ask = [&](const char* what, const Values& vectors, int word, int V, int C, int k,
                       const std::vector<int>& expected,
                       const std::vector<Exam::Slip<std::vector<int>>>& slips) {
    Sandbox& s =
        exam.call(fmt::format("nearest(word={}, V={}, C={}, k={}), {}", word, V, C, k, what));
    const float* v = s.input(vectors);
    exam.expect_equal("the result", ref::nearest(v, word, V, C, k), expected, slips);
  };
  const char* itself = "The word itself is always nearest to itself: leave it out.";
  // 0 points right; 1 the same way, longer; 2 slanting; 3 up; 4 left and very long; 5 nowhere
  const Values v = {1, 0, 5, 0, 1, 1, 0, 2, -30, 1, 0, 0};
  ask("vectors of several lengths", v, 0, 6, 2, 3, {1, 2, 3},
      {{{0, 1, 2}, itself},
       {{1, 2, 5},
        "By the dot product alone, or by distance, length decides; by the angle it does not. (And "
        "3 and 5 both "
        "have cosine 0: the smaller index comes first.)"},
       {{2, 5, 3},
        "That is the order of distances. The cosine asks for the angle: divide by both lengths."},
       {{4, 3, 5}, "That is the farthest first."}});
  ask("a short query", v, 2, 6, 2, 2, {0, 1},
      {{{2, 0}, itself},
       {{1, 3}, "Long vectors have large dot products: divide by both lengths."}});
  ask("more asked than there are", v, 3, 6, 2, 9, {2, 4, 0, 1, 5}, {});
  ask("none asked", v, 3, 6, 2, 0, {}, {});
  ask("a vector of length 0", v, 5, 6, 2, 3, {0, 1, 2}, {});
  const Values many = random_values(40 * 7, 5);
  std::vector<std::pair<double, int>> order;
  const auto dot = [&](int a, int b) {
    double sum = 0;
    for (int c = 0; c < 7; ++c)
      sum += many[static_cast<std::size_t>(a * 7 + c)] * many[static_cast<std::size_t>(b * 7 + c)];
    return sum;
  };
  for (int w = 0; w < 40; ++w) {
    if (w != 11) order.emplace_back(-dot(11, w) / std::sqrt(dot(11, 11) * dot(w, w)), w);
  }
  std::sort(order.begin(), order.end());
  std::vector<int> expected;
  for (int i = 0; i < 10; ++i) expected.push_back(order[static_cast<std::size_t>(i)].second);
  ask("random vectors", many, 11, 40, 7, 10, expected, {});
}

}  // namespace

std::vector<Task> tasks() {
  return {{"02.skipgram_step", examine_step}, {"02.nearest", examine_nearest}};
}

}  // namespace tinygpt::lessons
