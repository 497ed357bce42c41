// Grades exercises/04-bigram/softmax.cpp.
#include "solutions/04-bigram/softmax.h"

#include "tests/lessons/04-bigram/softmax_exam.h"
#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt::lessons {
namespace {

struct Case {
  int N, V;
  double scale;
};
const std::vector<Case> kCases = {{1, 1, 1},  {1, 3, 1}, {3, 2, 1},   {4, 16, 1},
                                  {5, 17, 2}, {0, 4, 1}, {7, 65, 30}, {3, 200, 1e3}};

// Repeated ones, the last class and the first, and one that does not count.
std::vector<int> some_targets(int N, int V) {
  std::vector<int> targets = random_tokens(N, V, 9);
  if (N > 1) targets[1] = kIgnoreTarget;
  if (N > 2) targets[2] = V - 1;
  if (N > 3) targets[3] = 0;
  return targets;
}

Values over(Values values, double divisor) {
  for (double& value : values) value /= divisor;
  return values;
}

std::vector<Mistake> lse_mistakes(const Values& logits, const std::vector<int>& targets,
                                  const Values& lse, const Mistake& too_large) {
  const auto N = lse.size(), V = N == 0 ? 0 : logits.size() / N;
  Values not_added = lse, bits, mixed;
  for (std::size_t n = 0; n < N; ++n) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(n * V);
    const double largest = *std::max_element(row, row + static_cast<std::ptrdiff_t>(V));
    not_added[n] -= largest;
    bits.push_back(lse[n] / std::log(2.0));
    mixed.push_back(largest + (lse[n] - largest) / std::log(2.0));
  }
  const char* base = "This is a logarithm to base 2; std::log is the natural one.";
  return {too_large,
          gives(not_added,
                "The largest value was taken out of the exponents: add it to the logarithm again."),
          gives(bits, base), gives(mixed, base),
          when(
              [&targets](const Answer& a) {
                bool some = false;
                for (std::size_t n = 0; n < targets.size(); ++n) {
                  const bool ignored = targets[n] == kIgnoreTarget;
                  if (std::isnan(a.actual[n]) != ignored) return false;
                  some = some || ignored;
                }
                return some;
              },
              "lse is written for every row: ignored targets have no loss, but an lse like the "
              "others.")};
}

void examine_loss(Exam& exam) {
  for (const auto& [N, V, scale] : kCases) {
    const Values in = random_values(std::int64_t{N} * V, 1, scale);
    const std::vector<int> right = some_targets(N, V);
    const test::Exact losses = test::cross_entropy_equation(V, right).forward({in});
    const test::Exact lse = test::log_sum_exp(in, N, V);
    Sandbox& s = exam.call(
        fmt::format("cross_entropy_forward(N={}, V={}), logits up to about {}", N, V, 3 * scale));
    float *losses_ = s.output(N), *lse_ = s.output(N);
    const float* logits = s.input(in);
    const int* targets = s.input(right);
    ref::cross_entropy_forward(losses_, lse_, logits, targets, N, V);
    const Mistake too_large =
        when([large = scale > 20](const Answer& a) { return large && overflowed(a); },
             "These logits are large: take the row's largest value out of the exponent first, and "
             "add it to the logarithm afterwards.");
    exam.expect("lse", lse_, lse.value, {{"n", N}}, {.magnitudes = lse.magnitude},
                lse_mistakes(in, right, lse.value, too_large));
    Values negative = losses.value, bits = losses.value, ignored = losses.value;
    Values zero_ignored = losses.value, distance = losses.value;
    for (std::size_t n = 0; n < losses.value.size(); ++n) {
      negative[n] = -negative[n], bits[n] /= std::log(2.0);
      if (right[n] == kIgnoreTarget) ignored[n] = lse.value[n];
      if (right[n] == 0) zero_ignored[n] = 0;
      distance[n] = 1 - std::exp(-losses.value[n]);
    }
    exam.expect(
        "losses", losses_, losses.value, {{"n", N}}, {.magnitudes = losses.magnitude},
        {when([large = scale > 20](const Answer& a) { return large && overflowed(a); },
              "lse is right; what makes losses infinite? exp(x) / sum is 0 in float where "
              "the target is unlikely, and its logarithm has no end: take the loss from lse "
              "and the target's score, without exp."),
         gives(negative,
               "The sign: the loss is minus the logarithm of a "
               "probability, so it is never below 0."),
         gives(bits, "These are bits (logarithm to base 2); losses are in nats (base e)."),
         gives(over(losses.value, N),
               "Each row has a loss of its own: the mean is the caller's to take."),
         gives(zero_ignored,
               "Class 0 is a class as the others. Only kIgnoreTarget, -1, is ignored."),
         gives(distance, "This is 1 minus the probability. The loss is minus its logarithm."),
         gives(ignored, "A target of kIgnoreTarget has loss 0: no class is right there."),
         when(
             [&right](const Answer& a) {
               for (std::size_t n = 0; n < right.size(); ++n) {
                 const bool off = std::abs(a.actual[n] - a.expected[n]) <= a.allowed[n];
                 if (!off != (right[n] == kIgnoreTarget)) return false;
               }
               return true;
             },
             "Only rows whose target is kIgnoreTarget are wrong. Their loss is 0: ask before "
             "you read logits[target], which is no place of the row.")});
  }
  Sandbox& s = exam.call("cross_entropy_forward(N=1, V=3), logits 10000, 0, 0, target 0");
  float *losses = s.output(1), *lse = s.output(1);
  const float* logits = s.input(Values{1e4, 0, 0});
  ref::cross_entropy_forward(losses, lse, logits, s.input(std::vector<int>{0}), 1, 3);
  exam.expect("losses", losses, {0.0}, {{"n", 1}});
  Sandbox& t = exam.call("cross_entropy_forward(N=1, V=3), logits 10000, 9999, 0, target 1");
  float *losses_2 = t.output(1), *lse_2 = t.output(1);
  const float* logits_2 = t.input(Values{10000, 9999, 0});
  ref::cross_entropy_forward(losses_2, lse_2, logits_2, t.input(std::vector<int>{1}), 1, 3);
  exam.expect("losses", losses_2, {1 + std::log1p(std::exp(-1.0))}, {{"n", 1}}, {.scale = 2},
              {when([](const Answer&) { return true; },
                    "Nearly right: the digits are lost where two numbers around 10,000 are "
                    "subtracted. Take the "
                    "row's largest value off the target's score before anything else.")});
}

// The gradient without what one mistake leaves out or adds.
struct Gradients {
  Values right, without_target, divided, ignored_counted, half_scaled, target_only, quotient;
};

Gradients gradients_of(const Values& in, const Values& lse, const std::vector<int>& targets, int N,
                       int V, double scale) {
  Gradients g;
  const Values p = test::softmax_equation(N, V).forward({in}).value;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const int target = targets[i / static_cast<std::size_t>(V)];
    const bool hit = static_cast<int>(i % static_cast<std::size_t>(V)) == target;
    const double d = scale * (p[i] - hit);
    g.right.push_back(target == kIgnoreTarget ? 0.0 : d);
    g.without_target.push_back(target == kIgnoreTarget ? 0.0 : scale * p[i]);
    g.ignored_counted.push_back(d);
    g.half_scaled.push_back(target == kIgnoreTarget ? 0.0 : scale * p[i] - hit);
    g.target_only.push_back(target == kIgnoreTarget || !hit ? 0.0 : d);
    g.quotient.push_back(target == kIgnoreTarget
                             ? 0.0
                             : scale *
                                   (std::exp(in[i]) / lse[i / static_cast<std::size_t>(V)] - hit));
    g.divided.push_back(g.right.back() / std::max(N, 1));
  }
  return g;
}

void examine_gradient(Exam& exam) {
  constexpr float kScale = 0.25f;
  for (const auto& [N, V, scale] : kCases) {
    const Shape shape = {{"n", N}, {"v", V}};
    const Values in = random_values(std::int64_t{N} * V, 1, scale);
    const std::vector<int> right = some_targets(N, V);
    const Values lse_in = test::log_sum_exp(in, N, V).value;
    const Gradients g = gradients_of(in, lse_in, right, N, V, kScale);
    const test::Exact exact = test::cross_entropy_equation(V, right).backward(
        {in}, Values(static_cast<std::size_t>(N), kScale))[0];
    const Tolerance tolerance{.magnitudes = exact.magnitude};
    Values unscaled = g.right, negative = g.right;
    for (double& d : unscaled) d /= kScale;
    for (double& d : negative) d = -d;
    const std::vector<Mistake> mistakes = {
        gives(g.without_target,
              "This is scale * probability. At the target, 1 is to be taken off first."),
        gives(negative, "The sign: the probability comes first, what was right is taken off."),
        gives(unscaled, "The factor `scale` is missing."),
        gives(g.divided,
              "You divide by N as well. Which mean is wanted, `scale` says already: rows that are "
              "ignored must not count."),
        gives(g.ignored_counted, "Rows whose target is kIgnoreTarget have no gradient."),
        gives(g.half_scaled,
              "`scale` multiplies the probability alone. It belongs to the whole difference."),
        gives(
            g.target_only,
            "Only the target's score has a gradient. Every score is in the sum of exponentials, so "
            "the others are pushed down."),
        gives(g.quotient, "lse is a logarithm already: the probability is exp(logit - lse)."),
    };
    const std::string size =
        fmt::format("softmax_cross_entropy_backward(N={}, V={}, scale=0.25)", N, V);
    Sandbox& s = exam.call(size);
    float* dlogits = s.accumulator(std::int64_t{N} * V);
    const float *logits = s.input(in), *lse = s.input(lse_in);
    const int* targets = s.input(right);
    ref::softmax_cross_entropy_backward(dlogits, logits, lse, targets, N, V, kScale);
    exam.expect_added("dlogits", dlogits, exact.value, shape, tolerance, mistakes);
    Sandbox& same = exam.call(size + ", dlogits in the place of logits");
    float* both = same.accumulator(in);
    const float* lse_2 = same.input(lse_in);
    const int* targets_2 = same.input(right);
    ref::softmax_cross_entropy_backward(both, both, lse_2, targets_2, N, V, kScale);
    exam.expect(
        "dlogits", both, exact.value, shape, tolerance,
        {when(
             [&](const Answer& a) {
               for (std::size_t i = 0; i < in.size(); ++i) {
                 const bool ignored = right[i / static_cast<std::size_t>(V)] == kIgnoreTarget;
                 const double wanted = ignored ? in[i] : a.expected[i];
                 if (!(std::abs(a.actual[i] - wanted) <= 4 * a.allowed[i] + 1e-6)) return false;
               }
               return true;
             },
             "In place, an ignored row must be set to 0: left as it is, its logits would be "
             "taken for a gradient."),
         when([](const Answer&) { return true; },
              "Where dlogits is logits itself, the gradient replaces what is there: "
              "nothing is added to "
              "the logits.")});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"04.softmax_forward",
       [](Exam& e) {
         examine_softmax(e, "softmax_forward", ref::softmax_forward, true, row_mistakes);
       }},
      {"04.cross_entropy_forward", examine_loss},
      {"04.softmax_cross_entropy_backward", examine_gradient},
  };
}

}  // namespace tinygpt::lessons
