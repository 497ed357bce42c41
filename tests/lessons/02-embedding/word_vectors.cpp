// Grades exercises/02-embedding/word_vectors.cpp.
#include "solutions/02-embedding/word_vectors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

struct Rule {
  bool keep_target = false;   // a negative that is the context counts as one
  bool moved_center = false;  // the outer vectors see the center after its step
  bool moved_outer = false;   // the center sees the outer vectors after their step
  bool one_by_one = false;    // each outer vector moves before the next dot product is taken
  bool no_negatives = false;
  bool no_center = false;   // a negative that is the center is skipped
  bool no_repeats = false;  // a negative that was drawn before is skipped
  bool last_only = false;   // of the center's gradient only the last term remains
  bool one_table = false;   // neighbours' vectors are taken from `in`
  bool pulled_negatives = false;
  bool no_rate = false;
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
  const double step = rule.sign * (rule.no_rate ? 1 : lr);
  const Values& neighbours = rule.one_table ? in : rule.one_by_one ? r.out : out;
  std::vector<std::pair<int, double>> slopes;
  const auto move_outer = [&](int word, double slope) {
    for (int c = 0; c < C; ++c) {
      r.out[static_cast<std::size_t>(word * C + c)] -=
          step * slope * row(rule.moved_center ? r.in : in, center, c);
    }
  };
  const auto move_center = [&](int word, double slope, const Values& outer) {
    for (int c = 0; c < C; ++c)
      r.in[static_cast<std::size_t>(center * C + c)] -= step * slope * row(outer, word, c);
  };
  const auto add = [&](int word, bool near) {
    double dot = 0;
    for (int c = 0; c < C; ++c) dot += row(in, center, c) * row(neighbours, word, c);
    const double sigmoid = 1 / (1 + std::exp(-dot));
    const double slope = !near && rule.pulled_negatives ? 1 - sigmoid : sigmoid - near;
    r.loss += softplus(near ? -dot : dot);
    slopes.emplace_back(word, slope);
    if (!rule.one_by_one) return;
    move_center(word, slope, r.out);
    move_outer(word, slope);
  };
  add(context, true);
  for (std::size_t k = 0; k < negatives.size() && !rule.no_negatives; ++k) {
    const int word = negatives[k];
    const bool repeated =
        std::count(negatives.begin(), negatives.begin() + static_cast<std::ptrdiff_t>(k), word) > 0;
    if ((rule.no_center && word == center) || (rule.no_repeats && repeated)) continue;
    if (rule.keep_target || word != context) add(word, false);
  }
  if (rule.one_by_one) return r;
  if (rule.moved_outer) {
    for (const auto& [word, slope] : slopes) move_outer(word, slope);
  }
  if (rule.last_only) slopes.erase(slopes.begin(), slopes.end() - 1);
  for (const auto& [word, slope] : slopes)
    move_center(word, slope, rule.moved_outer ? r.out : neighbours);
  if (rule.moved_outer) return r;
  for (const auto& [word, slope] : slopes) move_outer(word, slope);
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
                         {5, 6, 2, 0, {2, 4}, 1},
                         {4, 3, 1, 3, {0, 2, 0}, 1},
                         {4, 8, 0, 3, {1, 2}, 12}}) {
    const Values in = random_values(std::int64_t{V} * C, 1, scale),
                 out = random_values(std::int64_t{V} * C, 2, scale);
    constexpr double kRate = 0.25;
    const auto with = [&](const Rule& rule) {
      return exact(in, out, center, context, negatives, C, kRate, rule);
    };
    const Result right = with({}), target = with({.keep_target = true}),
                 moved = with({.moved_center = true});
    const Result uphill = with({.sign = -1}), lonely = with({.no_negatives = true}),
                 outer = with({.moved_outer = true}), one_by_one = with({.one_by_one = true}),
                 no_center = with({.no_center = true}), no_repeats = with({.no_repeats = true}),
                 one_table = with({.one_table = true}), pulled = with({.pulled_negatives = true}),
                 no_rate = with({.no_rate = true}), last_only = with({.last_only = true});
    double counted = 1;
    for (const int word : negatives) counted += word != context;
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
    const std::string center_words =
        "A negative that is the center counts like any other: only one that is the context is "
        "skipped.";
    const std::string repeat_words =
        "A negative that was drawn twice counts twice, in the loss and in the step.";
    const std::string serial_words =
        "Take all gradients before any vector moves: here an outer vector moves before the next "
        "gradient is taken.";
    const std::string table_words =
        "The neighbours' vectors, of the context and of the negatives, are rows of out. Only the "
        "center's is a row of in.";
    const Tolerance tolerance{.terms = 8.0 * C, .scale = 4 * scale};
    exam.expect(
        "loss", Values{loss}, Values{right.loss}, {{"of the step", 1}},
        {.terms = 8.0 * C, .scale = 4 * scale * scale},
        {gives({target.loss}, target_words),
         gives({lonely.loss}, "Only the context is in the loss: the negatives are missing."),
         gives({no_center.loss}, center_words), gives({no_repeats.loss}, repeat_words),
         gives({one_by_one.loss}, serial_words), gives({one_table.loss}, table_words),
         gives({right.loss / counted}, "The loss is the sum of its terms, not their mean."),
         gives({right.loss / static_cast<double>(negatives.size() + 1)},
               "The loss is the sum of its terms, not their mean."),
         gives({-right.loss},
               "The loss has the wrong sign: the logarithm of a sigmoid is negative."),
         when([](const Answer& a) { return !std::isfinite(a.actual[0]); },
              "The logarithm of a sigmoid that has rounded to 0, or exp of a large number. -log "
              "sigmoid(x) is log(1 + exp(-x)), and for negative x the same is -x + log(1 + "
              "exp(x)): neither takes exp of anything large.")});
    const Shape shape = {{"v", V}, {"c", C}};
    const auto mistakes = [&](Values Result::*part) {
      return std::vector<Mistake>{
          gives(target.*part, target_words),
          gives(uphill.*part,
                "The step goes uphill: each vector moves by minus lr times its gradient."),
          gives(lonely.*part,
                "The negatives do nothing here: they must be pushed away, and the center collects "
                "the "
                "gradients of all (+=)."),
          gives(last_only.in,
                "The center moves by its last gradient alone: it collects those of all (+=)."),
          gives(no_center.*part, center_words),
          gives(no_repeats.*part, repeat_words),
          gives(one_table.*part, table_words),
          gives(pulled.*part,
                "The negatives are pulled near. The slope of -log sigmoid(-x) is sigmoid(x): it is "
                "positive, so that the step makes x smaller."),
          gives(no_rate.*part, "The step is the whole gradient: multiply it by lr."),
          gives(outer.*part,
                "Take all gradients before any vector moves: here the center sees the outer "
                "vectors after their step."),
          gives(one_by_one.*part, serial_words),
          gives(moved.*part,
                "Take all gradients before any vector moves: here the outer vectors see the center "
                "after its step."),
          gives(part == &Result::in ? in : out, "These vectors have not moved at all.")};
    };
    exam.expect("in", in_, right.in, shape, tolerance, mistakes(&Result::in));
    exam.expect("out", out_, right.out, shape, tolerance, mistakes(&Result::out));
  }
}

// Forty vectors in four directions, so that most cosines are equal.
void ask_equals(Exam& exam) {
  constexpr int kRows = 40, kAsked = 30;
  Values vectors;
  std::vector<std::pair<int, int>> order;  // minus the cosine, and the row
  const std::array<int, 4> cosines = {1, 0, -1, 0};
  for (int v = 0; v < kRows; ++v) {
    const auto direction = static_cast<std::size_t>(v * 7 % 4);
    const double length = 1 << v % 3;
    vectors.push_back(cosines[direction] * length);
    vectors.push_back(cosines[(direction + 3) % 4] * length);
    if (v > 0) order.emplace_back(-cosines[direction], v);
  }
  std::ranges::sort(order);
  const auto cosine_of = [&](int v) {
    return v < 0 || v >= kRows ? 2 : cosines[static_cast<std::size_t>(v * 7 % 4)];
  };
  std::vector<int> expected;
  for (int i = 0; i < kAsked; ++i) expected.push_back(order[static_cast<std::size_t>(i)].second);
  Sandbox& s = exam.call("nearest(word=0, V=40, C=2, k=30), many cosines equal");
  const float* v = s.input(vectors);
  const std::vector<int> found = ref::nearest(v, 0, kRows, 2, kAsked);
  std::vector<Exam::Slip<std::vector<int>>> slips;
  if (std::ranges::equal(found, expected, {}, cosine_of, cosine_of)) {
    slips.push_back({found,
                     "The cosines are in order; of equal ones the smaller index comes first. "
                     "std::sort may change the order of equals: std::stable_sort keeps it."});
  }
  exam.expect_equal("the result", found, expected, slips);
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
  const char* nowhere =
      "A vector of length 0 has cosine 0 with all, says the contract: 0 / 0 is NaN, which no order "
      "can place.";
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
       {{4, 3, 5}, "That is the farthest first."},
       {{2, 1, 3},
        "Divide by both lengths. A vector's product with itself is the square of its length: take "
        "the root."},
       {{1, 4, 2},
        "The sign counts: a vector that points the other way has cosine -1, and is the farthest."},
       {{1, 5, 2}, nowhere}});
  ask("a short query", v, 2, 6, 2, 2, {0, 1},
      {{{2, 0}, itself},
       {{1, 3}, "Long vectors have large dot products: divide by both lengths."}});
  ask("more asked than there are", v, 3, 6, 2, 9, {2, 4, 0, 1, 5},
      {{{2, 4, 0, 1},
        "Row 5 is missing. A vector of length 0 has cosine 0, and its place for that."},
       {{2, 4, 0, 1, 5, 0, 0, 0, 0},
        "There are only five other rows: where k asks for more, the answer is shorter."}});
  ask("none asked", v, 3, 6, 2, 0, {}, {});
  ask("a vector of length 0", v, 5, 6, 2, 3, {0, 1, 2},
      {{{1, 2, 3},
        "Leave out the word by its index, not whatever is first after sorting: here all cosines "
        "are 0, and row 0 is first."}});
  // 0 points right; 1 nowhere; 2 left; 3 right; 4 up
  ask("a vector of length 0 among others", {1, 0, 0, 0, -1, 0, 2, 0, 0, 1}, 0, 5, 2, 4,
      {3, 1, 4, 2}, {{{1, 3, 4, 2}, nowhere}, {{3, 4, 2, 1}, nowhere}, {{3, 4, 2}, nowhere}});
  ask_equals(exam);
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
